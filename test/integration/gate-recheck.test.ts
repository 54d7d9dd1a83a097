import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { RunRecord } from '../../contracts/record.ts';
import { startKernelEnvironment, type KernelEnvironment } from '../support/kernel-environment.ts';
import { gateOpens, startToy, until, type ToyRun } from '../support/toy-runs.ts';

/** What arrives while a gate looks once more, and what the look finds. */
let environment: KernelEnvironment;
beforeAll(async () => {
  environment = await startKernelEnvironment({ start: { approvers: ['anna', 'ben'], expiresAfter: '60s' } });
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
    expect(await decide(run, { planHash })).toMatchObject({ outcome: 'approved' });
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
