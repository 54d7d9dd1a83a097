import { expect, it } from 'vitest';
import { Stages } from '../faults/stages.ts';

const MINUTE = 60_000;

/** Stages that start when they are told to, and what became of each. */
function stages({ signal }: { signal?: AbortSignal } = {}) {
  const said: string[] = [];
  const starting: Settle[] = [];
  const all = new Stages((ending) => {
    const number = starting.length;
    said.push(`starting ${number}`);
    return new Promise<void>((resolve, reject) => { starting.push({ resolve, reject }); }).then(() => ({ ending, stop: async () => { said.push(`stopped ${number}`); } }));
  }, signal);
  return { said, starting, all };
}
interface Settle { resolve: () => void; reject: (error: Error) => void }

it('a stage of a fault suite that could not be started ends all others, and no lane begins another one from then on', async () => {
  const { said, starting, all } = stages();
  const [first, second, third] = [all.of(0), all.of(1), all.of(2)];
  starting[0]!.resolve();
  starting[1]!.reject(new Error('no room'));
  await expect(second).rejects.toThrow('no room');
  const ended = all.end();
  expect((await first).ending.aborted).toBe(true);
  starting[2]!.resolve();
  await Promise.all([third, ended]);
  expect(said.toSorted()).toEqual(['starting 0', 'starting 1', 'starting 2', 'stopped 0', 'stopped 2']);
  // The cases of the others fail, and each of these lanes takes its next one.
  for (const lane of [0, 1, 2]) await expect(all.of(lane)).rejects.toThrow('all stages are ended');
  expect(said.filter((one) => one.startsWith('starting'))).toHaveLength(3);
}, MINUTE);

it('a lane of a fault suite has its stage until that is renewed, and gets no other one once the suite is interrupted', async () => {
  const interrupt = new AbortController();
  const { said, starting, all } = stages({ signal: interrupt.signal });
  const [first, again] = [all.of(0), all.of(0)];
  starting[0]!.resolve();
  expect(await first).toBe(await again);
  await all.renew(0);
  const next = all.of(0);
  starting[1]!.resolve();
  expect(await next).not.toBe(await first);
  interrupt.abort(new Error('interrupted'));
  expect((await next).ending.aborted).toBe(true);
  await all.renew(0);
  await expect(all.of(0)).rejects.toThrow('interrupted');
  expect(said).toEqual(['starting 0', 'stopped 0', 'starting 1', 'stopped 1']);
}, MINUTE);
