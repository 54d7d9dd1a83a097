import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { ENOUGH_APPROVALS } from '../../contracts/deciding.ts';
import type { RunRecord } from '../../contracts/record.ts';
import { startKernelEnvironment, type KernelEnvironment } from '../support/kernel-environment.ts';
import { gateOpens, startToy, until, type ToyRun } from '../support/toy-runs.ts';

/** What arrives while a gate looks once more, and what the look finds. */
let environment: KernelEnvironment;
beforeAll(async () => {
  const brief = { approvers: ['anna', 'ben'], expiresAfter: '2s' };
  environment = await startKernelEnvironment({ start: { ...brief, expiresAfter: '10m' } }, {}, { lenient: { start: { ...brief, onExpiry: 'approve' } }, strict: { start: brief } });
  await environment.startWorker();
});
afterAll(() => environment.stop());

const open = async (input: Record<string, unknown>) => {
  const run = await startToy(environment, { database: 'shop', requester: 'rita', ...input });
  await gateOpens(run);
  return run;
};
const gateOf = async ({ handle }: ToyRun) => (await handle.query<RunRecord>('record')).gates[0]!;
const decide = (run: ToyRun, over: Record<string, unknown> = {}) => run.handle.executeUpdate<{ outcome: string }, [object]>('decide', { args: [{ gate: 'start', decision: 'approve', by: 'anna', ...over }] });
const TOO_SOON = expect.stringMatching(/^it names no plan and was sent before anybody could read the present one of gate "start", which is shown since .*; look at it and send it again$/) as string;

describe('a plan that has changed meanwhile', () => {
  const drifts = (ms: number) => ({ recheck: { ms, finds: 'another plan' } });

  it('is approved by no second click on the plan before it, whether that names the gate or not', async () => {
    const run = await open(drifts(2_500));
    await sleep(2_200);
    await run.handle.signal('approve', { gate: 'start', by: 'anna' });
    await sleep(700);
    await run.handle.signal('approve', { gate: 'start', by: 'anna' });
    await run.handle.signal('approve', { by: 'ben' });
    await until(async () => (await gateOf(run)).decisions.length === 3, 'all are identified');
    const { planHash, decisions, outcome } = await gateOf(run);
    expect(outcome).toBe('open');
    expect(decisions.map(({ counted, reason }) => [counted, reason])).toEqual([[false, expect.stringContaining('void since the plan changed') as string], [false, TOO_SOON], [false, TOO_SOON]]);
    await expect(decide(run)).rejects.toMatchObject({ cause: { message: TOO_SOON } });
    // Who names the new plan has seen it.
    expect(await decide(run, { planHash })).toMatchObject({ outcome: ENOUGH_APPROVALS });
    await run.handle.result();
    expect((await run.evidence()).gates[0]?.outcome).toBe('approved');
  });

  it('is approved by whoever had the time to read it, also without its hash', async () => {
    const run = await open(drifts(100));
    await decide(run);
    await until(async () => (await gateOf(run)).events.length === 1, 'it has drifted');
    await sleep(2_100);
    await run.handle.signal('approve', { gate: 'start', by: 'anna' });
    await run.handle.result();
    expect((await run.evidence()).gates[0]?.decisions.map(({ by, counted }) => [by, counted])).toEqual([['anna', false], ['anna', true]]);
  });
});

it('counts a rejection that arrives while it looks once more, and takes nothing back from whoever approved', async () => {
  const run = await open({ recheck: { ms: 2_500, finds: 'the same' } });
  await run.handle.signal('approve', { gate: 'start', by: 'anna' });
  await sleep(700);
  await run.handle.signal('reject', { gate: 'start', by: 'anna' });
  await run.handle.signal('reject', { gate: 'start', by: 'ben', comment: 'STOP' });
  await expect(run.handle.result()).rejects.toMatchObject({ cause: { type: 'REJECTED', message: 'gate "start" was rejected by ben: STOP' } });
  const { gates: [gate], refused, steps: [step] } = await run.evidence();
  // Not a wait for people: it is a step, for as long as it took.
  expect(step).toMatchObject({ name: 'plan once more', outcome: 'done', attempts: 1, summary: 'the plan is the same' });
  expect(Date.parse(step?.finishedAt ?? '') - Date.parse(step?.startedAt ?? '')).toBeGreaterThanOrEqual(2_500);
  expect(gate).toMatchObject({ outcome: 'rejected', decisions: [{ by: 'anna', decision: 'approve', counted: true }, { by: 'anna', counted: false }, { by: 'ben', decision: 'reject', counted: true }] });
  expect(refused).toEqual([expect.stringContaining('anna has already decided at gate "start"; each person counts once, and an approval is not taken back: to stop the run, abort it (`runbook abort WORKFLOW_ID`)')]);
});

it('notes what arrived while it looked, also where looking fails', async () => {
  const run = await open({ recheck: { ms: 2_500, finds: 'nothing' } });
  await run.handle.signal('approve', { gate: 'start', by: 'anna' });
  await sleep(700);
  await run.handle.signal('reject', { gate: 'start', by: 'ben' });
  await expect(run.handle.result()).rejects.toMatchObject({ cause: { type: 'NOT_FOUND' } });
  expect((await run.evidence()).refused).toEqual([expect.stringMatching(/^reject at \S+Z: gate "start" closed meanwhile; it was sent by ben$/)]);
});

describe('a gate that expires', () => {
  const expires = async (database: string, finds: string) => {
    const run = await open({ database, recheck: { ms: 100, finds } });
    const failure = await run.handle.result().then(() => null, (error: { cause?: { type?: string; message?: string } }) => error.cause);
    const { outcome, gates: [gate] } = await run.evidence();
    return { failure, outcome, gate };
  };
  it('and lets the run go on does so only with the plan that people could see', async () => {
    expect(await expires('lenient', 'the same')).toMatchObject({ failure: null, outcome: 'succeeded', gate: { outcome: 'expired' } });
    expect(await expires('lenient', 'another plan')).toMatchObject({
      failure: { type: 'REJECTED', message: expect.stringMatching(/^gate "start" expired at \S+Z, and its plan had become another one, on which nobody has looked; start another run$/) as string },
      outcome: 'rejected', gate: { outcome: 'rejected', onExpiry: 'approve', events: [{ event: 'planChanged' }] },
    });
  });
  it('has expired also where looking once more fails, and does not look where it ends the run', async () => {
    expect(await expires('lenient', 'nothing')).toMatchObject({ failure: { type: 'NOT_FOUND', message: 'the backup is gone' }, outcome: 'failed', gate: { outcome: 'expired' } });
    expect(await expires('strict', 'nothing')).toMatchObject({ failure: { type: 'REJECTED', message: expect.stringContaining('expired at') as string }, outcome: 'rejected', gate: { outcome: 'expired' } });
  });
});
