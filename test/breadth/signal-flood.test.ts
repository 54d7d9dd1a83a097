import { afterAll, beforeAll, expect, it } from 'vitest';
import type { Progress } from '../../contracts/messages.ts';
import { startKernelEnvironment, toyConfiguration, type KernelEnvironment } from '../support/kernel-environment.ts';
import { acting, startToy, until, type ToyRun } from '../support/toy-runs.ts';
import { killableWorkers, type StartKillable } from '../support/toy/killable-worker.ts';

/** What anybody sends while no worker is up comes in one task. The worker is a process of its own: it was that which ended. */
const GATES = { start: { approvers: ['anna'], expiresAfter: '1h' } };
let environment: KernelEnvironment;
let start: StartKillable;
beforeAll(async () => {
  environment = await startKernelEnvironment(GATES, {}, { other: GATES });
  start = await killableWorkers(environment, toyConfiguration(environment.root, { start: GATES.start }, {}, { other: GATES }));
});
afterAll(() => environment.stop());

it('thousands of signals to a run that no worker had begun end no worker, and keep nobody from steering it, or another', async () => {
  // Each took the SDK more than a millisecond, and what takes 5 s in all was ended.
  const count = 6_000;
  const run = await startToy(environment, { database: 'shop', requester: 'rita', looksFirst: true, stallMs: 600_000 });
  const other = await startToy(environment, { database: 'other', requester: 'rita' });
  for (let sent = 0; sent < count; sent += 200) await Promise.all(Array.from({ length: 200 }, () => run.handle.signal('approve')));

  const worker = await start();
  const ended = worker.gone.then(() => { throw new Error('the worker has ended'); });
  await Promise.race([ended, steer(run, other)]);
  const { refused, refusedLeftOut, gates, outcome, teardown } = await run.evidence();
  expect([refused.length, refusedLeftOut, gates[0]?.decisions.map(({ by, counted }) => [by, counted])]).toEqual([50, count - 50, [['anna', true]]]);
  expect({ outcome, teardown }).toMatchObject({ outcome: 'aborted', teardown: { provenAbsent: true } });
  await worker.kill();
});

async function steer(run: ToyRun, other: ToyRun): Promise<void> {
  await approve(other);
  await other.handle.result();
  await approve(run);
  await acting(run);
  await run.handle.executeUpdate('abort', { args: [{ by: 'ben', reason: 'enough' }] });
  await expect(run.handle.result()).rejects.toMatchObject({ cause: { type: 'ABORTED' } });
}

async function approve(run: ToyRun): Promise<void> {
  // The first task may take longer than a query waits for it.
  await until(() => run.handle.query<Progress>('progress').then(({ openGate }) => openGate !== null, () => false), 'the gate is open');
  await run.handle.executeUpdate('decide', { args: [{ gate: 'start', decision: 'approve', by: 'anna' }] });
}
