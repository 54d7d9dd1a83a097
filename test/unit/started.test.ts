import { setTimeout as sleep } from 'node:timers/promises';
import { expect, it } from 'vitest';
import { Started } from '../../scripts/started.ts';

/** Something to start, and what was said of it. */
function stage({ signal }: { signal?: AbortSignal } = {}) {
  const said: string[] = [];
  const started = new Started({ log: (line) => said.push(line), ...(signal && { signal }) });
  const begin = (name: string, starting: Promise<unknown> = Promise.resolve()) => started.begin(() => starting.then(() => name), async () => { said.push(`ended ${name}`); });
  return { said, started, begin };
}

it('ends newest first, once, and each although the one before it could not be ended', async () => {
  const { said, started, begin } = stage();
  await begin('first');
  started.onEnd(() => Promise.reject(new Error('it is stuck')));
  started.onEnd(() => { throw new Error('it never was'); });
  await begin('last');
  await Promise.all([started.end(), started.end()]);
  await started.end();
  expect(said).toEqual(['ended last', 'while cleaning up: it never was', 'while cleaning up: it is stuck', 'ended first']);
});

it('waits for what is starting when all is to be ended, and ends it, too', async () => {
  const { said, started, begin } = stage();
  await begin('server');
  const worker = begin('worker', sleep(50));
  const ended = started.end();
  await expect(worker).rejects.toThrow('what this was started for has been ended');
  await ended;
  expect(said).toEqual(['ended worker', 'ended server']);
});

it('is not held up by what could not be started', async () => {
  const { said, started, begin } = stage();
  await begin('server');
  const worker = begin('worker', sleep(20).then(() => { throw new Error('no room'); }));
  worker.catch(() => undefined);
  await started.end();
  await expect(worker).rejects.toThrow('no room');
  expect(said).toEqual(['ended server']);
});

it('starts nothing more once its signal is aborted, and still knows how to end what was starting then', async () => {
  const interrupt = new AbortController();
  const { said, started, begin } = stage({ signal: interrupt.signal });
  const server = begin('server', sleep(20));
  interrupt.abort(new Error('interrupted'));
  await expect(server).rejects.toThrow('interrupted');
  await started.end();
  expect(said).toEqual(['ended server']);
});

it('does not even begin what is asked for once all is to be ended: nobody would wait for it, nor end it', async () => {
  const interrupt = new AbortController();
  for (const [why, { started }, end] of [
    ['what this was started for has been ended', stage(), (one: Started) => one.end()],
    ['interrupted', stage({ signal: interrupt.signal }), () => { interrupt.abort(new Error('interrupted')); }],
  ] as const) {
    let begun = 0;
    const ending = end(started);
    await expect(started.begin(() => { begun += 1; return Promise.resolve(); }, () => Promise.resolve())).rejects.toThrow(why);
    await ending;
    expect(begun, why).toBe(0);
  }
});
