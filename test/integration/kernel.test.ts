import { readdir, readFile } from 'node:fs/promises';
import { existsSync } from 'node:fs';
import path from 'node:path';
import { randomUUID } from 'node:crypto';
import { WorkflowContinuedAsNewError, type Client, type WorkflowHandle, type WorkflowStartOptions } from '@temporalio/client';
import { defaultPayloadConverter } from '@temporalio/common';
import { MockActivityEnvironment } from '@temporalio/testing';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { verifyChain } from '../../activities/evidence/chain/verify.ts';
import type { DeadRun, EvidenceFiles, KernelActivities } from '../../activities/kernel/kernel-activities.ts';
import { evidenceSchema } from '../../contracts/evidence.ts';
import { NOTHING_SETTLED } from '../../contracts/record.ts';
import { startKernelEnvironment, type KernelEnvironment } from '../support/kernel-environment.ts';
import { reset, startToy, until } from '../support/toy-runs.ts';

let environment: KernelEnvironment;
const start = (input?: Record<string, unknown>, client?: Client, options?: Partial<WorkflowStartOptions>) => startToy(environment, input, client, options);

/** What the guardian of a run opened its place with. */
async function openedWith({ guardian }: { guardian: WorkflowHandle }): Promise<unknown> {
  const { events } = await guardian.fetchHistory();
  const opened = events?.map(({ activityTaskScheduledEventAttributes }) => activityTaskScheduledEventAttributes).find((scheduled) => scheduled?.activityType?.name === 'openToyPlace');
  return defaultPayloadConverter.fromPayload(opened?.input?.payloads?.[0] ?? {});
}

describe('a run without a gate', () => {
  beforeAll(async () => {
    environment = await startKernelEnvironment();
    await environment.startWorker();
  });
  afterAll(() => environment.stop());

  it('acts, tears down, proves absence twice, and writes evidence that fits the schema', async () => {
    const run = await start();
    const result = await run.handle.result() as { fence: number; evidence: string; head: string };
    await run.guardian.result();
    const evidence = await run.evidence();
    expect(evidence.outcome).toBe('succeeded');
    // The file verifies, and its head is the one that the server keeps in the result.
    expect(verifyChain(await readFile(result.evidence))).toMatchObject({ flaws: [], head: result.head });
    expect(evidence.steps.map((step) => [step.name, step.outcome, step.attempts, step.summary])).toEqual([
      ['write one', 'done', 1, 'wrote one'], ['write two', 'done', 1, 'wrote two'],
    ]);
    expect(evidence.compensations).toEqual([]);
    expect(evidence.teardown).toMatchObject({ outcome: 'done', provenAbsent: true, destroyed: ['one', 'two'] });
    expect(evidence.teardown.proofs).toHaveLength(2);
    expect(existsSync(path.join(run.root, `box-${result.fence}`))).toBe(false);
    expect(await run.journal()).toEqual(['begin one', 'begin two']);
    // By it whoever finds the place, and does not know the guardian, knows when to remove it.
    expect(await openedWith(run)).toMatchObject({ fence: result.fence, leaseMs: 2 * 86_400_000 });
  });

  it('undoes newest first when a step fails, also the step that failed', async () => {
    const run = await start({ failAt: 'two' });
    await expect(run.handle.result()).rejects.toMatchObject({ cause: { type: 'PREFLIGHT', message: 'two cannot be written' } });
    await run.guardian.result();
    const evidence = await run.evidence();
    expect(await run.journal()).toEqual(['begin one', 'begin two', 'undo two', 'undo one']);
    expect(evidence.outcome).toBe('failed');
    expect(evidence.compensations.map((entry) => [entry.id, entry.outcome])).toEqual([['two', 'done'], ['one', 'done']]);
    expect(evidence.teardown.provenAbsent).toBe(true);
  });

  it('fails at once on input that breaks the schema, with a sentence that says what to change', async () => {
    const run = await start({ root: 5, colour: 'red' });
    await expect(run.handle.result()).rejects.toMatchObject({ cause: { type: 'INVALID_INPUT', message: expect.stringContaining('root') as string } });
  });

  it('refuses --cron at once, since a second execution would wait for ever', async () => {
    const handle = await environment.client.workflow.start('toy', { workflowId: `toy/${randomUUID()}`, taskQueue: 'runbooks', args: [{ root: environment.root }], cronSchedule: '@every 1s' });
    const first = environment.client.workflow.getHandle(handle.workflowId, handle.firstExecutionRunId, { followRuns: false });
    // The server makes the next one whatever becomes of this one, until somebody terminates it, as the sentence says.
    await expect(first.result()).rejects.toBeInstanceOf(WorkflowContinuedAsNewError);
    await handle.terminate();
    expect((await first.fetchHistory()).events?.at(-1)?.workflowExecutionFailedEventAttributes?.failure).toMatchObject({ message: expect.stringContaining(`use a schedule (temporal schedule create), not --cron; end this one with: temporal workflow terminate --workflow-id '${handle.workflowId}'`) as string, applicationFailureInfo: { type: 'INVALID_INPUT', nonRetryable: true } });
  });

  it('refuses a retry policy at once, for the same reason', async () => {
    const handle = await environment.client.workflow.start('toy', { workflowId: `toy/${randomUUID()}`, taskQueue: 'runbooks', args: [{ root: environment.root }], retry: { maximumAttempts: 3 } });
    await expect(handle.result()).rejects.toMatchObject({ cause: { type: 'INVALID_INPUT', message: expect.stringContaining('start it without a retry policy') as string } });
    expect((await handle.describe()).runId).toBe(handle.firstExecutionRunId);
  });

  it.each(['nowhere', 'constructor', '__proto__', 'toString'])('refuses the unknown database "%s" at once, and its evidence says what was asked for', async (database) => {
    const run = await start({ database, requester: 'carol' });
    await expect(run.handle.result()).rejects.toMatchObject({ cause: { type: 'NOT_FOUND', message: expect.stringContaining(`no database "${database}"`) as string } });
    expect(await run.evidence()).toMatchObject({ target: database, requester: 'carol', outcome: 'failed', failure: { type: 'NOT_FOUND' }, chain: { codeVersion: 'test' } });
  });

  it('a step with something to undo, before the run has taken its target, fails the run before it acts: nobody would undo it', async () => {
    const run = await start({ undoesUnowned: true });
    await expect(run.handle.result()).rejects.toMatchObject({ cause: { type: 'CONFIGURATION', message: expect.stringContaining('has to call run.own before') as string } });
    expect((await run.evidence()).steps).toEqual([]);
  });

  it.each(['terminate', 'cancel', 'abort', 'time-out'] as const)('after %s in the middle of a step undoes it, leaves nothing and frees the lock', async (how) => {
    const run = await start({ stallMs: 60_000 }, environment.client, how === 'time-out' ? { workflowExecutionTimeout: '4s' } : {});
    await until(async () => (await run.journal()).includes('begin one'), 'the first step began');
    if (how === 'terminate') await run.handle.terminate('test');
    else if (how === 'cancel') await run.handle.cancel();
    else if (how === 'abort') await run.handle.signal('abort', { by: 'ben' });
    await run.handle.result().catch(() => undefined);
    await run.guardian.result();
    const evidence = await run.evidence();
    expect(evidence.outcome).toBe({ 'terminate': 'terminated', 'cancel': 'cancelled', 'abort': 'aborted', 'time-out': 'timedOut' }[how]);
    expect(evidence.failure).toMatchObject({ 'terminate': { type: 'TERMINATED' }, 'cancel': { type: 'CANCELLED' }, 'abort': { type: 'ABORTED', message: 'the run was aborted by ben' }, 'time-out': { type: 'TIMEDOUT', message: expect.stringContaining('(timedOut)') as string } }[how]);
    expect(evidence.chain.writtenBy).toBe(how === 'terminate' || how === 'time-out' ? 'guardian' : 'run');
    expect((await readdir(run.root)).filter((name) => name !== 'journal' && name !== 'undone')).toEqual([]);
    expect(evidence.steps.map((step) => [step.name, step.outcome])).toEqual([['write one', 'cancelled']]);
    expect(evidence.compensations.map((entry) => entry.id)).toEqual(['one']);
    expect(evidence.teardown.provenAbsent).toBe(true);
    const holders = await environment.client.workflow.getHandle('lock/shop').query<{ holders: unknown[] }>('holders');
    expect(holders.holders).toEqual([]);
  });

  it.each(['the run', 'its guardian'])('tells how often a step was tried in the evidence that %s writes', async (writer) => {
    const run = await start({ failsOnce: true, stallMs: 1_000 });
    if (writer === 'its guardian') {
      await until(async () => (await run.journal()).includes('begin two'), 'the second step began');
      await run.handle.terminate('test');
    }
    await run.handle.result().catch(() => undefined);
    await run.guardian.result();
    expect((await run.evidence()).steps[0]).toMatchObject({ name: 'write one', outcome: 'done', attempts: 2 });
  });

  it('keeps the attempts that the evidence of a run of older code brings: it names no owner to look for', async () => {
    const run = await start();
    await run.handle.result();
    const evidence = await run.evidence();
    const counted = { ...evidence, chain: { ...evidence.chain, seal: null }, steps: evidence.steps.map((step) => ({ ...step, attempts: 7 })) };
    const kernel = environment.kernelActivities(path.join(run.root, 'evidence'));
    const written = await new MockActivityEnvironment().run((input: Parameters<KernelActivities['writeEvidence']>[0]) => kernel.writeEvidence(input), { evidence: counted }) as EvidenceFiles;
    const kept = evidenceSchema.parse(JSON.parse(await readFile(written.evidence, 'utf8')));
    expect({ ...kept, chain: { ...kept.chain, seal: null } }).toEqual(counted);
  });

  it('has one piece of evidence when its guardian looks after it on a host that has another directory', async () => {
    const run = await start({ failAt: 'two' });
    await run.handle.result().catch(() => undefined);
    await run.guardian.result();
    const otherHost = path.join(run.root, 'evidence of the other host');
    const owner = { workflowId: run.handle.workflowId, firstExecutionRunId: run.handle.firstExecutionRunId };
    const end = { status: 'failed', runId: run.handle.firstExecutionRunId, closedAtMs: Date.now() } as const;
    const kernel = environment.kernelActivities(otherHost);
    const { evidence } = await new MockActivityEnvironment().run((input: DeadRun) => kernel.writeEvidenceOfDeadRun(input), { owner, runbook: 'toy', target: 'shop', outcome: 'failed', end, settlement: NOTHING_SETTLED } as DeadRun) as EvidenceFiles;
    expect(path.dirname(evidence)).toBe(path.join(environment.root, 'evidence'));
    expect(existsSync(otherHost)).toBe(false);
    expect((await run.evidence()).failure).toEqual({ type: 'PREFLIGHT', message: 'two cannot be written' });
  });

  it('keeps in the evidence what operators asked, who they said they are, and why', async () => {
    const run = await start({ stallMs: 1_000 });
    await until(async () => (await run.journal()).includes('begin one'), 'the first step began');
    await run.handle.executeUpdate('pause', { args: [{ by: 'anna', reason: 'the host is busy' }] });
    await run.handle.signal('resume');
    await run.handle.executeUpdate('abort', { args: [{ by: 'ben', reason: 'wrong database' }] });
    await expect(run.handle.result()).rejects.toMatchObject({ cause: { type: 'ABORTED', message: 'the run was aborted by ben: wrong database' } });
    expect((await run.evidence()).operations.map(({ operation, by, reason, channel }) => [operation, by, reason, channel])).toEqual([
      ['pause', 'anna', 'the host is busy', 'update'], ['resume', null, null, 'signal'], ['abort', 'ben', 'wrong database', 'update'],
    ]);
  });

  it('keeps one owner when a run is reset, and undoes what both of its lives did', async () => {
    const run = await start({ stallMs: 1_500 });
    await until(async () => (await run.journal()).includes('begin two'), 'the second step began');
    await reset(environment, run, 'last');
    const result = await environment.client.workflow.getHandle(run.handle.workflowId).result() as { fence: number };
    await run.guardian.result();
    expect(existsSync(path.join(run.root, `box-${result.fence}`))).toBe(false);
    const evidence = await run.evidence();
    expect(evidence.outcome).toBe('succeeded');
    // Of what both histories hold, an attempt counts once.
    expect(evidence.steps[0]).toMatchObject({ name: 'write one', attempts: 1 });
  });

  it('keeps what was proven while it was being aborted, and says who aborted it', async () => {
    const run = await start({ stallMs: 60_000, whenCancelled: 'find damage' });
    await until(async () => (await run.journal()).includes('begin one'), 'the first step began');
    await run.handle.signal('abort', { by: 'ben' });
    await expect(run.handle.result()).rejects.toMatchObject({ cause: { type: 'ABORTED', message: 'the run was aborted by ben' } });
    expect(await run.evidence()).toMatchObject({ outcome: 'aborted', failure: { type: 'ABORTED' }, verdict: { restore: 'unsound' } });
  });

  it('lets two runs on one target queue, in order of arrival', async () => {
    const first = await start({ stallMs: 500 });
    await until(async () => (await first.journal()).length > 0, 'the first run acts');
    const second = await start();
    const a = await first.handle.result() as { fence: number };
    const b = await second.handle.result() as { fence: number };
    expect(b.fence).toBeGreaterThan(a.fence);
    const waited = await second.evidence();
    const firstGone = Date.parse((await first.evidence()).teardown.proofs.at(-1)?.at ?? '');
    expect(Date.parse(waited.steps[0]?.startedAt ?? '')).toBeGreaterThanOrEqual(firstGone);
  });
});
