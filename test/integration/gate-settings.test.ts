import { ApplicationFailure } from '@temporalio/activity';
import { afterEach, beforeAll, afterAll, describe, expect, it } from 'vitest';
import { ENOUGH_APPROVALS } from '../../contracts/deciding.ts';
import type { GatePolicy } from '../../contracts/gate.ts';
import type { Progress } from '../../contracts/messages.ts';
import type { RunRecord } from '../../contracts/record.ts';
import type { RunSettings } from '../../contracts/runbook.ts';
import { startKernelEnvironment, type KernelEnvironment } from '../support/kernel-environment.ts';
import { gateOpens, startToy, until, type ToyRun } from '../support/toy-runs.ts';

/** People think for days: meanwhile workers are upgraded, and the configuration says something else. */
let environment: KernelEnvironment;
/** What the configuration says by now, in place of what it said. */
let byNow: (settings: RunSettings) => RunSettings = (settings) => settings;
beforeAll(async () => {
  const policy = { approvers: ['anna', 'ben'], expiresAfter: '10m' };
  environment = await startKernelEnvironment({ start: policy, correction: policy }, {}, { pair: { start: { ...policy, quorum: 2 } }, lenient: { start: { ...policy, rejections: 2, expiresAfter: '2s', onExpiry: 'approve' } } }, { each: { failedSteps: { wait: '60s' } } });
  const kernel = environment.kernelActivities(environment.root);
  await environment.startWorker({ describeRun: async (input) => byNow(await kernel.describeRun(input)) });
});
afterAll(() => environment.stop());
afterEach(() => { byNow = (settings) => settings; });

const open = async (database: string, input: Record<string, unknown> = {}) => {
  const run = await startToy(environment, { database, requester: 'rita', ...input });
  await gateOpens(run);
  return run;
};
const gateOf = async ({ handle }: ToyRun) => (await handle.query<RunRecord>('record')).gates[0]!;
const decide = (run: ToyRun, by: string, over: Record<string, unknown> = {}) => run.handle.executeUpdate<{ outcome: string }, [object]>('decide', { args: [{ gate: 'start', decision: 'approve', by, ...over }] });
const withPolicy = (over: Partial<GatePolicy>) => (settings: RunSettings): RunSettings => ({ ...settings, gates: { start: { ...settings.gates['start']!, ...over } } });

it('an upgrade of the workers while a gate is open voids what was decided, also of a page that looks at nothing else, and the evidence names the version that people approved', async () => {
  const run = await open('shop');
  const before = (await gateOf(run)).planHash;
  byNow = (settings) => ({ ...settings, codeVersion: 'upgraded' });
  expect(await decide(run, 'anna')).toMatchObject({ outcome: ENOUGH_APPROVALS });
  await until(async () => (await gateOf(run)).planHash !== before, 'it shows another plan');
  const { outcome, planHash, decisions: [first] } = await gateOf(run);
  expect([outcome, first?.counted, first?.reason]).toEqual(['open', false, expect.stringMatching(/^void since the plan changed from [0-9a-f]{12} to [0-9a-f]{12} \(code version\); look at the new plan and decide on it$/)]);
  expect(await run.handle.query('plan')).toMatchObject({ codeVersion: 'upgraded', hash: planHash });
  expect(await decide(run, 'anna', { planHash })).toMatchObject({ outcome: ENOUGH_APPROVALS });
  await run.handle.result();
  expect(await run.evidence()).toMatchObject({
    chain: { codeVersion: 'upgraded', planHash },
    gates: [{ outcome: 'approved', planHash, decisions: [{ counted: false }, { counted: true }], events: [{ event: 'planChanged' }] }],
  });
});

describe('who may decide is asked anew before a gate passes', () => {
  it('whoever may not any more has not decided, and whoever may by now does', async () => {
    const run = await open('pair');
    await decide(run, 'anna');
    byNow = withPolicy({ approvers: ['ben', 'carol'], quorum: 2 });
    expect(await decide(run, 'ben')).toMatchObject({ outcome: ENOUGH_APPROVALS });
    await until(async () => (await gateOf(run)).events.length > 0, 'it has asked');
    expect((await gateOf(run)).decisions.map(({ by, counted, reason }) => [by, counted, reason])).toEqual([
      ['anna', false, 'void since the configuration changed: anna may not decide at gate "start"; one of ben, carol must'], ['ben', true, null],
    ]);
    await decide(run, 'carol');
    await run.handle.result();
    const { gates: [gate], refused } = await run.evidence();
    expect(gate).toMatchObject({
      outcome: 'approved', policy: { approvers: ['ben', 'carol'], quorum: 2 },
      events: [{ event: 'policyChanged', detail: 'in the configuration: approvers from ["anna","ben"] to ["ben","carol"]' }],
    });
    expect(refused).toEqual([expect.stringMatching(/^approve at \S+: void since the configuration changed: anna may not decide/)]);
  });

  it('two names that are one person\'s by now count once', async () => {
    const run = await open('pair');
    await decide(run, 'anna');
    byNow = (settings) => ({ ...settings, people: { anna: { aliases: ['ben'], delegates: [] } } });
    await decide(run, 'ben');
    await until(async () => (await gateOf(run)).events.length > 0, 'it has asked');
    expect(await gateOf(run)).toMatchObject({ outcome: 'open', events: [{ event: 'policyChanged', detail: 'in the configuration: people' }], decisions: [{ by: 'anna', counted: true }, { by: 'ben', counted: false }] });
    await run.handle.signal('abort');
    await run.handle.result().catch(() => undefined);
  });

  it('a gate that the configuration does not name any more stays as it was', async () => {
    const run = await open('shop');
    byNow = (settings) => ({ ...settings, gates: {} });
    await decide(run, 'anna');
    await run.handle.result();
    expect((await run.evidence()).gates).toMatchObject([{ outcome: 'approved', events: [], policy: { approvers: ['anna', 'ben'] } }]);
  });

  it('a target that the configuration does not name any more is not worked on', async () => {
    const run = await open('shop');
    byNow = () => { throw ApplicationFailure.nonRetryable('there is no database "shop" in the configuration', 'NOT_FOUND'); };
    await decide(run, 'anna');
    await expect(run.handle.result()).rejects.toMatchObject({ cause: { type: 'NOT_FOUND' } });
    byNow = (settings) => settings;
    expect(await run.evidence()).toMatchObject({ outcome: 'failed', steps: [], gates: [{ closedAt: expect.any(String) as string }] });
  });

  it('an expired gate means what the configuration says by then', async () => {
    const run = await open('lenient');
    byNow = withPolicy({ onExpiry: 'reject' });
    await expect(run.handle.result()).rejects.toMatchObject({ cause: { type: 'REJECTED', message: expect.stringContaining('without enough approvals') as string } });
    expect((await run.evidence()).gates).toMatchObject([{ outcome: 'expired', onExpiry: 'reject' }]);
  });

  it('one that is rejected by what the configuration says by then does not pass for having expired', async () => {
    const run = await open('lenient');
    await decide(run, 'ben', { decision: 'reject' });
    byNow = withPolicy({ rejections: 1 });
    await expect(run.handle.result()).rejects.toMatchObject({ cause: { type: 'REJECTED', message: 'gate "start" was rejected by ben' } });
    expect((await run.evidence()).gates).toMatchObject([{ outcome: 'rejected', policy: { rejections: 1 } }]);
  });

  it('a gate that is not open yet is not lost either', async () => {
    const run = await open('shop', { failAt: 'one' });
    byNow = (settings) => ({ ...settings, gates: { start: settings.gates['start']! } });
    await decide(run, 'anna');
    await until(async () => (await run.handle.query<Progress>('progress')).waitingStep?.name === 'write one', 'the step waits');
    await run.handle.executeUpdate('retryStep', { args: [{ step: 'write one', by: 'rita', reason: 'typo', input: { fail: false } }] });
    await until(async () => (await run.handle.query<Progress>('progress')).openGate?.name === 'correction', 'somebody else is asked');
    await run.handle.signal('abort');
    await run.handle.result().catch(() => undefined);
    expect((await run.evidence()).gates.map(({ name }) => name)).toEqual(['start', 'correction']);
  });

  it('the host, the target and the lease of a run stay those that it began with', async () => {
    const run = await open('shop');
    byNow = (settings) => ({ ...settings, target: 'pair', host: 'elsewhere', lease: { maximumMs: 1, hostLossMs: 1 } });
    await decide(run, 'anna');
    await run.handle.result();
    expect(await run.evidence()).toMatchObject({ outcome: 'succeeded', target: 'shop' });
  });
});

it('a plan is named by its whole hash, or by so much of it that nobody finds another that begins alike', async () => {
  const run = await open('shop');
  const { planHash } = await gateOf(run);
  const short = planHash.slice(0, 31);
  const tooShort = `"${short}" is too little of the hash of a plan to name it; give all of it, or its first 32 digits or more`;
  await expect(decide(run, 'anna', { planHash: short })).rejects.toMatchObject({ cause: { message: tooShort } });
  await run.handle.signal('approve', { gate: 'start', by: 'anna', planHash: short });
  await until(async () => (await gateOf(run)).decisions.length === 1, 'it is judged');
  expect((await gateOf(run)).decisions[0]).toMatchObject({ counted: false, reason: tooShort });
  await run.handle.signal('approve', { gate: 'start', by: 'anna', planHash: planHash.slice(0, 32).toUpperCase() });
  await run.handle.result();
});
