import { ApplicationFailure } from '@temporalio/activity';
import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import type { Configuration } from '../../contracts/configuration.ts';
import type { Evidence } from '../../contracts/evidence.ts';
import type { Progress } from '../../contracts/messages.ts';
import { toyConfiguration } from '../support/kernel-environment.ts';
import { PATIENT } from '../support/patience.ts';
import { startTimeSkipping, type TimeSkipping } from '../support/time-skipping.ts';

const DAY_MS = 86_400_000;
let time: TimeSkipping;
let configuration: Configuration;

// A server for each, so that each begins at the time of this machine.
beforeEach(async () => {
  time = await startTimeSkipping('5 days');
  configuration = toyConfiguration(time.root, { start: { expiresAfter: '3d' } }, { maximum: '30d' });
});
afterEach(() => time.stop());

async function startToy(input: Record<string, unknown> = {}) {
  await time.startWorker(configuration);
  const handle = await time.startToy(input);
  await vi.waitUntil(async () => (await handle.query<Progress>('progress')).openGate, PATIENT);
  const evidence = async (): Promise<Evidence> => {
    const found = await time.evidenceOf(handle, configuration);
    expect(found).toHaveLength(1);
    return found[0] as Evidence;
  };
  return { handle, evidence };
}

it('a wait of days for the lock does not fill the history of the run', async () => {
  // A lock that never answers.
  await time.startWorker(toyConfiguration(time.root, {}, { maximum: '2d' }), { requestLock: () => Promise.resolve() });
  const handle = await time.startToy();
  await expect(handle.result()).rejects.toMatchObject({ cause: { type: 'LEASE_OVER' } });
  // A look every minute would be more than 30,000; the server ends a run at 51,200.
  expect((await handle.fetchHistory()).events?.length).toBeLessThan(1_500);
});

const daysBetween = (from: string | undefined, to: string | null | undefined) => (Date.parse(to ?? '') - Date.parse(from ?? '')) / DAY_MS;

it('a gate that nobody answers for 3 days ends the run as rejected, with evidence', async () => {
  const run = await startToy();
  await expect(run.handle.result()).rejects.toMatchObject({ cause: { type: 'REJECTED', message: expect.stringMatching(/^gate "start" expired at .* without enough approvals$/) as string } });
  const evidence = await run.evidence();
  expect(evidence).toMatchObject({ outcome: 'rejected', gates: [{ outcome: 'expired', decisions: [] }], steps: [], teardown: { outcome: 'notNeeded' } });
  expect(daysBetween(evidence.gates[0]?.openedAt, evidence.gates[0]?.closedAt)).toBeCloseTo(3, 1);
});

// The time-skipping server has been seen to stand still here, never to say something else: the run is then tried again.
it('a run that owns its target and is paused for good is ended and torn down when its lease of 30 days is over', { retry: 2 }, async () => {
  const run = await startToy({ stallMs: 2_000 });
  await run.handle.signal('approve', { gate: 'start', by: 'anna' });
  // Before time passes: the server would skip to the end of the gate.
  await vi.waitUntil(async () => (await run.handle.query<Progress>('progress')).phase === 'write one', PATIENT);
  await run.handle.signal('pause');
  await vi.waitUntil(async () => (await run.handle.query<Progress>('progress')).phase === 'paused before: write two', PATIENT);
  await expect(run.handle.result()).rejects.toMatchObject({ cause: { type: 'LEASE_OVER' } });
  const evidence = await run.evidence();
  expect(evidence).toMatchObject({ outcome: 'timedOut', steps: [{ name: 'write one', outcome: 'done' }], compensations: [{ id: 'one', outcome: 'done' }], teardown: { outcome: 'done', provenAbsent: true } });
  expect(daysBetween(evidence.startedAt, evidence.finishedAt)).toBeCloseTo(30, 1);
});

it('pauses before the target is taken last together for as long as a lease at most', { retry: 2 }, async () => {
  await time.startWorker(configuration);
  const handle = await time.startToy({ looksFirst: true });
  const paused = async () => vi.waitUntil(async () => (await handle.query<Progress>('progress')).phase.startsWith('paused before: '), PATIENT);
  await handle.signal('pause');
  await paused();
  await time.environment.sleep('20 days');
  await handle.signal('resume');
  await handle.signal('pause');
  await paused();
  await expect(handle.result()).rejects.toMatchObject({ cause: { type: 'LEASE_OVER', message: expect.stringMatching(/^it was paused before ".*", and earlier, for as long as a lease lasts$/) as string } });
  const [evidence] = await time.evidenceOf(handle, configuration);
  expect(daysBetween(evidence?.startedAt, evidence?.finishedAt)).toBeCloseTo(30, 1);
});

it('a pause before the target is taken takes nothing from the lease after it', { retry: 2 }, async () => {
  await time.startWorker(toyConfiguration(time.root, {}, { maximum: '30d' }));
  const handle = await time.startToy({ looksFirst: true, stallMs: 2_000 });
  const phase = async (wanted: RegExp) => vi.waitUntil(async () => wanted.test((await handle.query<Progress>('progress')).phase), PATIENT);
  await handle.signal('pause');
  await phase(/^paused before: (look|look again|taking the target)$/);
  await time.environment.sleep('20 days');
  await handle.signal('resume');
  await phase(/^write one$/);
  await handle.signal('pause');
  await phase(/^paused before: write two$/);
  await time.environment.sleep('15 days');
  await handle.signal('resume');
  expect(await handle.result()).toMatchObject({ fence: 1 });
});

it('what any worker could remove is removed also where that fails for an hour', async () => {
  let attempts = 0;
  const free = toyConfiguration(time.root, {}, { maximum: '30d' });
  await time.startWorker(free, {
    closeToyPlace: () => {
      attempts += 1;
      return attempts <= 60 ? Promise.reject(ApplicationFailure.retryable('the service does not answer', 'UNAVAILABLE')) : Promise.resolve({ destroyed: ['toy box'] });
    },
    proveToyAbsent: () => Promise.resolve({ at: new Date().toISOString(), looked: ['toy box'], found: [] }),
  });
  const handle = await time.startToy();
  await handle.result();
  expect((await time.evidenceOf(handle, free))[0]).toMatchObject({ outcome: 'succeeded', teardown: { outcome: 'done', provenAbsent: true, destroyed: ['toy box'] } });
});
