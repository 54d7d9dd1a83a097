import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { lockId } from '../../contracts/guardian.ts';
import type { CompensationView, Progress } from '../../contracts/messages.ts';
import type { Notice } from '../../contracts/notification.ts';
import type { RunRecord } from '../../contracts/record.ts';
import { currentDetailsOf } from '../support/current-details.ts';
import { startKernelEnvironment, type KernelEnvironment } from '../support/kernel-environment.ts';
import { gateOpens, startToy, until, type ToyRun } from '../support/toy-runs.ts';

let environment: KernelEnvironment;
const start = (input?: Record<string, unknown>) => startToy(environment, input);
const progress = ({ handle }: ToyRun) => handle.query<Progress>('progress');
const waits = (run: ToyRun, step: string) => until(async () => (await progress(run)).waitingStep?.name === step, `step ${step} waits`);
const update = (run: ToyRun, name: string, argument: object) => run.handle.executeUpdate<string, [object]>(name, { args: [argument] });
const refused = (sentence: string) => ({ cause: { message: expect.stringContaining(sentence) as string } });
const stepsOf = async (run: ToyRun) => (await run.evidence()).steps.map(({ name, outcome }) => [name, outcome]);

describe('a step that fails, where the configuration lets it wait', () => {
  beforeAll(async () => {
    environment = await startKernelEnvironment({}, {}, {}, { each: { failedSteps: { wait: '20s' } } });
    await environment.startWorker();
  });
  afterAll(() => environment.stop());

  it('waits for an operator, takes another input that its schema takes, and goes on', async () => {
    const run = await start({ failAt: 'one' });
    await waits(run, 'write one');
    expect((await progress(run)).waitingStep).toMatchObject({ failure: 'one cannot be written', takesInput: true, skippingCosts: null });
    const retry = (over: object) => update(run, 'retryStep', { step: 'write one', by: 'anna', reason: 'made room', ...over });
    for (const reason of ['', ' \n']) await expect(retry({ reason })).rejects.toMatchObject(refused('retryStep takes { step, by, reason, input? }'));
    await expect(retry({ step: 'write two' })).rejects.toMatchObject(refused('step "write two" does not wait; "write one" does'));
    await expect(retry({ input: { fail: 'no' } })).rejects.toMatchObject(refused('step "write one" does not take this input: fail:'));
    await expect(update(run, 'skipStep', { step: 'write one', by: 'anna', reason: 'never mind' })).rejects.toMatchObject(refused('does not allow step "write one" to be skipped'));
    // As it was it fails again, and waits again.
    await retry({});
    await until(async () => (await run.journal()).filter((line) => line === 'begin one').length >= 2, 'it is tried again');
    await waits(run, 'write one');
    expect(await retry({ input: { fail: false } })).toBe('step "write one" is tried again');
    await run.handle.result();
    expect(await stepsOf(run)).toEqual([['write one', 'failed'], ['write one', 'failed'], ['write one', 'done'], ['write two', 'done']]);
    expect((await run.evidence()).operations.map(({ operation, by, reason, of, detail }) => [operation, by, reason, of, detail])).toEqual([
      ['retryStep', 'anna', 'made room', 'write one', null], ['retryStep', 'anna', 'made room', 'write one', '{"fail":false}'],
    ]);
    await expect(retry({})).rejects.toThrow(/completed|not found/i);
  });

  it('is cancelled where the run is ended by force while it waits, as it is where the run ends by itself', async () => {
    const run = await start({ failAt: 'one' });
    await waits(run, 'write one');
    await run.handle.terminate('test');
    await run.guardian.result();
    expect((await run.evidence()).steps).toMatchObject([{ name: 'write one', outcome: 'cancelled', finishedAt: expect.any(String) as string }]);
  });

  it('can be skipped where its runbook allows that, which is said under what was not verified', async () => {
    const run = await start({ failAt: 'two' });
    await waits(run, 'write two');
    expect(await update(run, 'skipStep', { step: 'write two', by: 'anna', reason: 'not needed today' })).toBe('step "write two" is skipped, which costs: two: it was not written, since an operator skipped it');
    await run.handle.result();
    const evidence = await run.evidence();
    expect(evidence.steps.at(-1)).toMatchObject({ name: 'write two', outcome: 'skipped', summary: 'skipped by anna: not needed today' });
    expect(evidence.notVerified).toEqual(['two: it was not written, since an operator skipped it']);
    expect(evidence).toMatchObject({ outcome: 'succeeded', teardown: { outcome: 'done', provenAbsent: true } });
  });

  it('is undone when it had begun and was skipped, also where the run succeeds then', async () => {
    const run = await start({ failAt: 'two' });
    await waits(run, 'write two');
    const undone = () => run.handle.query<CompensationView[]>('compensations');
    expect((await undone()).map(({ id, when }) => [id, when])).toEqual([['two', 'always'], ['one', 'failure'], ['place', 'always']]);
    await update(run, 'skipStep', { step: 'write two', by: 'anna', reason: 'not needed today' });
    await run.handle.result();
    const evidence = await run.evidence();
    expect(evidence).toMatchObject({ outcome: 'succeeded', compensations: [{ id: 'two', step: 'write two', outcome: 'done' }] });
    expect(await run.journal()).toEqual(['begin one', 'begin two', 'undo two']);
    expect(await undone(), 'an abort would undo nothing any more').toEqual([]);
  });

  it('is undone with what each of its attempts worked with, where another input makes another undo', async () => {
    const run = await start({ failAt: 'two', undoTellsInput: true });
    const again = async (input?: object) => {
      await waits(run, 'write two');
      await update(run, 'retryStep', { step: 'write two', by: 'anna', reason: 'typo', ...(input ? { input } : {}) });
    };
    await again();
    await again({ fail: false });
    await run.handle.result();
    const { outcome, compensations } = await run.evidence();
    // The first input was given up; what it began, twice, is undone once. What came to its end stays.
    expect([outcome, compensations.map(({ id, title }) => [id, title])]).toEqual(['succeeded', [['two', 'record that two is undone, which was to fail']]]);

    const aborted = await start({ failAt: 'one', undoTellsInput: true, stallMs: 500 });
    await waits(aborted, 'write one');
    await update(aborted, 'retryStep', { step: 'write one', by: 'anna', reason: 'typo', input: { fail: false } });
    await until(async () => (await aborted.journal()).includes('begin two'), 'the next step is at work');
    const would = (await aborted.handle.query<CompensationView[]>('compensations')).map(({ id, title, when }) => [id, title, when]);
    expect(would).toEqual([
      ['two', 'record that two is undone', 'failure'], ['one#2', 'record that one is undone', 'failure'], ['one', 'record that one is undone, which was to fail', 'always'], ['place', 'remove the toy box', 'always'],
    ]);
    await aborted.handle.signal('abort');
    await aborted.handle.result().catch(() => undefined);
    expect((await aborted.evidence()).compensations.map(({ id }) => id)).toEqual(['two', 'one#2', 'one']);
  });

  it('can be skipped before it begins, while the run is paused', async () => {
    const run = await start({ stallMs: 1_500 });
    await until(async () => (await run.journal()).includes('begin one'), 'the first step is at work');
    await run.handle.signal('pause');
    await waits(run, 'write two');
    await expect(update(run, 'retryStep', { step: 'write two', by: 'anna', reason: 'x' })).rejects.toMatchObject(refused('has not begun'));
    await update(run, 'skipStep', { step: 'write two', by: 'anna', reason: 'not needed' });
    await run.handle.result();
    expect(await stepsOf(run)).toEqual([['write one', 'done'], ['write two', 'skipped']]);
    expect(await run.journal()).toEqual(['begin one']);
  });

  it('does not wait where it found what the run is for, or when it is aborted', async () => {
    const aborted = await start({ failAt: 'two' });
    await waits(aborted, 'write two');
    await update(aborted, 'abort', { by: 'anna', reason: 'enough' });
    await expect(aborted.handle.result()).rejects.toMatchObject({ cause: { type: 'ABORTED' } });
    expect((await aborted.evidence()).compensations.map(({ id, outcome }) => [id, outcome])).toEqual([['two', 'done'], ['one', 'done']]);
    const damaged = await start({ whenCancelled: 'find damage', stallMs: 60_000 });
    await until(async () => (await damaged.journal()).includes('begin one'), 'it is at work');
    await damaged.handle.cancel();
    await expect(damaged.handle.result()).rejects.toMatchObject({ cause: { type: 'BACKUP_DAMAGED' } });
  });

  it('waits, when it is to be tried again, as long as the run is paused', async () => {
    const run = await start({ failAt: 'one' });
    await waits(run, 'write one');
    await update(run, 'pause', { by: 'ben' });
    await update(run, 'retryStep', { step: 'write one', by: 'anna', reason: 'made room', input: { fail: false } });
    await until(async () => (await progress(run)).phase === 'paused before: write one', 'it waits before it is tried again');
    expect(await run.journal()).toEqual(['begin one']);
    await update(run, 'resume', { by: 'ben' });
    await run.handle.result();
    expect(await stepsOf(run)).toEqual([['write one', 'failed'], ['write one', 'done'], ['write two', 'done']]);
  });

  it.each([['abort', 'aborted', 'ABORTED'], ['cancel', 'cancelled', 'CANCELLED']] as const)('%s during the last step is obeyed, also where that goes on to its end', async (how, outcome, type) => {
    const run = await start({ stallMs: 1_000, whenCancelled: 'go on' });
    await until(async () => (await run.journal()).includes('begin two'), 'the last step is at work');
    await (how === 'abort' ? update(run, 'abort', { by: 'anna', reason: 'wrong database' }) : run.handle.cancel());
    await expect(run.handle.result()).rejects.toMatchObject({ cause: { type } });
    const evidence = await run.evidence();
    expect(evidence).toMatchObject({ outcome, failure: { type }, teardown: { outcome: 'done', provenAbsent: true } });
    expect(evidence.compensations.map(({ id }) => id)).toEqual(['two', 'one']);
    expect(await stepsOf(run)).toEqual([['write one', 'done'], ['write two', 'done']]);
  });

  it('tells how long undoing each step took the last time', async () => {
    const run = await start({ failAt: 'two' });
    await waits(run, 'write two');
    const undone = await run.handle.query<{ step: string; lastSeconds: number | null }[]>('compensations');
    expect(undone.map(({ step }) => step)).toEqual(['write two', 'write one', 'teardown']);
    for (const { lastSeconds } of undone.slice(0, 2)) expect(lastSeconds).toBeGreaterThan(0);
    await run.handle.signal('abort');
    await run.handle.result().catch(() => undefined);
  });
});

describe('a corrected input, where the configuration asks for a second person', () => {
  const told: Notice[] = [];
  const deliveredTo = ({ handle }: ToyRun) => told.filter(({ workflowId }) => workflowId === handle.workflowId);
  beforeAll(async () => {
    const channels = { ops: { kind: 'slack', urlEnv: 'NOT_ASKED_FOR' } };
    environment = await startKernelEnvironment({ correction: { approvers: ['anna', 'ben'], assurance: 'claimed', notify: ['ops'] } }, {}, {}, { each: { failedSteps: { wait: '60s' } }, notifications: { channels } });
    await environment.startWorker({ deliver: async ({ notice }) => void told.push(notice) });
  });
  afterAll(() => environment.stop());

  it('is used when somebody else has approved it, and not before', async () => {
    const run = await start({ failAt: 'one' });
    await waits(run, 'write one');
    const before = (await run.handle.query<{ hash: string }>('plan')).hash;
    const correct = () => update(run, 'retryStep', { step: 'write one', by: 'anna', reason: 'typo', input: { fail: false } });
    expect(await correct()).toContain('when gate "correction" has approved its input');
    const open = () => until(async () => (await progress(run)).openGate?.name === 'correction', 'the gate is open');
    await open();
    // What they decide on is shown wherever people look.
    const plan = () => run.handle.query<{ hash: string; corrections: unknown[] }>('plan');
    const gate = (await progress(run)).openGate;
    expect(gate?.planHash).not.toBe(before);
    expect(await plan()).toMatchObject({ hash: gate?.planHash, corrections: [{ step: 'write one', by: 'anna', reason: 'typo', from: { fail: true }, to: { fail: false } }] });
    const sentence = 'step "write one" would be tried again with {"fail":false} in place of {"fail":true}, as anna asks for: typo';
    expect(gate?.note).toContain(sentence);
    expect((await currentDetailsOf(run.handle)).replaceAll('\\', '')).toContain(sentence);
    await until(async () => deliveredTo(run).length > 0, 'the gate is told');
    expect(deliveredTo(run).map(({ lines }) => lines[0])).toEqual([sentence]);
    const decide = (by: string, decision: string, planHash?: string) => update(run, 'decide', { gate: 'correction', decision, by, planHash });
    await expect(decide('anna', 'approve')).rejects.toMatchObject(refused('anna requested or started this run and may not approve it'));
    await decide('ben', 'reject');
    // Turned down, it waits again as it did.
    await waits(run, 'write one');
    expect((await run.journal()).filter((line) => line === 'begin one')).toHaveLength(1);
    // What was turned down is no part of the plan.
    expect(await plan()).toMatchObject({ hash: before, corrections: [] });
    await correct();
    await open();
    await decide('ben', 'approve', (await progress(run)).openGate?.planHash);
    await run.handle.result();
    const evidence = await run.evidence();
    expect(evidence.gates.map(({ name, outcome }) => [name, outcome])).toEqual([['correction', 'rejected'], ['correction', 'approved']]);
    expect(evidence).toMatchObject({ outcome: 'succeeded', chain: { planHash: evidence.gates[1]?.planHash } });
  });

  it('is approved by nobody who approves the one before it, whose gate had the same name', async () => {
    const run = await start({ failAt: 'one' });
    await waits(run, 'write one');
    const correct = (input: object) => update(run, 'retryStep', { step: 'write one', by: 'zoe', reason: 'typo', input });
    await correct({ fail: true });
    await until(async () => (await progress(run)).openGate?.name === 'correction', 'the gate is open');
    await update(run, 'decide', { gate: 'correction', decision: 'reject', by: 'ben' });
    await waits(run, 'write one');
    await correct({ fail: false });
    const tooSoon = expect.stringMatching(/^it names no plan and was sent before anybody could read the present one of gate "correction", which is shown since /) as string;
    await run.handle.signal('approve', { gate: 'correction', by: 'anna' });
    await until(async () => ((await run.handle.query<RunRecord>('record')).gates[1]?.decisions.length ?? 0) > 0, 'it is judged');
    await expect(update(run, 'decide', { gate: 'correction', decision: 'approve', by: 'anna' })).rejects.toMatchObject({ cause: { message: tooSoon } });
    const [, gate] = (await run.handle.query<RunRecord>('record')).gates;
    expect(gate).toMatchObject({ outcome: 'open', decisions: [{ by: 'anna', counted: false, reason: tooSoon }] });
    await update(run, 'decide', { gate: 'correction', decision: 'approve', by: 'anna', planHash: gate?.planHash });
    await run.handle.result();
  });

  it('is not asked about where a step is only tried again', async () => {
    const run = await start({ failAt: 'one' });
    await waits(run, 'write one');
    await update(run, 'retryStep', { step: 'write one', by: 'anna', reason: 'again' });
    await until(async () => (await run.journal()).filter((line) => line === 'begin one').length === 2, 'it is tried again');
    await waits(run, 'write one');
    await run.handle.signal('abort');
    await run.handle.result().catch(() => undefined);
    expect((await run.evidence()).gates).toEqual([]);
  });
});

describe('a run that is paused at a gate', () => {
  let worker: { stop(): Promise<void> };
  beforeAll(async () => {
    environment = await startKernelEnvironment({ start: { approvers: ['anna'] } });
    worker = await environment.startWorker();
  });
  afterAll(() => environment.stop());

  const pausedBeforeItsTarget = async (): Promise<ToyRun> => {
    const run = await start({ requester: 'carol' });
    await gateOpens(run);
    await update(run, 'pause', { by: 'ben' });
    await update(run, 'decide', { gate: 'start', decision: 'approve', by: 'anna' });
    await until(async () => (await progress(run)).phase === 'paused before: taking the target', 'it waits');
    return run;
  };

  it('takes nothing when the gate is passed, and others have the target until it goes on', async () => {
    const run = await pausedBeforeItsTarget();
    // Nobody has asked for it: a lock begins with the first who does.
    await expect(environment.client.workflow.getHandle(lockId('shop')).describe()).rejects.toThrow(/not found/i);
    await update(run, 'resume', { by: 'ben' });
    await run.handle.result();
    expect(await stepsOf(run)).toEqual([['write one', 'done'], ['write two', 'done']]);
  });

  it('stays paused where it was resumed and paused once more before it could go on', async () => {
    const run = await pausedBeforeItsTarget();
    // Both arrive in one task, since there is no worker.
    await worker.stop();
    await run.handle.signal('resume');
    await run.handle.signal('pause');
    worker = await environment.startWorker();
    await until(async () => (await run.handle.query<RunRecord>('record')).operations.length === 3, 'both have arrived');
    expect(await progress(run)).toMatchObject({ phase: 'paused before: taking the target', paused: true });
    await run.handle.signal('resume');
    await run.handle.result();
    expect(await stepsOf(run)).toEqual([['write one', 'done'], ['write two', 'done']]);
  });

  it('obeys what was said last before its first task, and notes all of it in the order in which it came: an abort too, and an update behind the signals', async () => {
    await worker.stop();
    const [paused, told, aborted] = await Promise.all([start({ requester: 'carol' }), start({ requester: 'carol' }), start({ requester: 'carol' })]);
    const send = async ({ handle }: ToyRun, ...names: string[]) => { for (const name of names) await handle.signal(name, { by: 'ben' }); };
    await send(paused, 'pause', 'resume', 'pause');
    await send(told, 'resume');
    const answer = update(told, 'pause', { by: 'ben' });
    await send(aborted, 'resume', 'abort', 'pause');
    worker = await environment.startWorker();
    const operations = async ({ handle }: ToyRun) => (await handle.query<RunRecord>('record')).operations.map(({ operation, channel }) => `${operation} by ${channel}`);
    await answer;
    await Promise.all([paused, told].map(gateOpens));
    expect(await operations(paused)).toEqual(['pause by signal', 'resume by signal', 'pause by signal']);
    expect(await operations(told)).toEqual(['resume by signal', 'pause by update']);
    for (const run of [paused, told]) expect(await progress(run)).toMatchObject({ paused: true });
    await aborted.handle.result().catch(() => undefined);
    const evidence = await aborted.evidence();
    expect([evidence.outcome, ...evidence.operations.map(({ operation }) => operation)]).toEqual(['aborted', 'resume', 'abort', 'pause']);
    for (const { handle } of [paused, told]) await handle.signal('abort');
    await Promise.all([paused, told].map(({ handle }) => handle.result().catch(() => undefined)));
  });
});
