import { mkdtemp, readdir, readFile } from 'node:fs/promises';
import { existsSync } from 'node:fs';
import path from 'node:path';
import { randomUUID } from 'node:crypto';
import { Client, WorkflowContinuedAsNewError, type WorkflowStartOptions } from '@temporalio/client';
import { afterAll, beforeAll, describe, expect, it, vi, type MockInstance } from 'vitest';
import { guardianId } from '../../contracts/guardian.ts';
import type { Evidence } from '../../contracts/evidence.ts';
import { NOTHING_SETTLED, type RunRecord } from '../../contracts/record.ts';
import type { Progress } from '../../contracts/messages.ts';
import { approve, reject } from '../../scripts/cli/decide.ts';
import { startKernelEnvironment, type KernelEnvironment } from '../support/kernel-environment.ts';

let environment: KernelEnvironment;

async function start(input: Record<string, unknown> = {}, client = environment.client, options: Partial<WorkflowStartOptions> = {}) {
  const root = await mkdtemp(path.join(environment.root, 'run-'));
  const handle = await client.workflow.start('toy', {
    workflowId: `toy/${randomUUID()}`, taskQueue: 'runbooks', args: [{ root, ...input }], ...options,
  });
  const owner = { workflowId: handle.workflowId, firstExecutionRunId: handle.firstExecutionRunId };
  const guardian = environment.client.workflow.getHandle(guardianId(owner));
  const journal = async () => (await readFile(path.join(root, 'journal'), 'utf8').catch(() => '')).trim().split('\n').filter(Boolean);
  const evidence = async (): Promise<Evidence> => {
    const found = (await environment.evidence()).find((one) => one.workflowId === handle.workflowId);
    if (!found) throw new Error('no evidence');
    return found;
  };
  return { handle, guardian, root, journal, evidence };
}

async function until(condition: () => Promise<boolean>, what: string): Promise<void> {
  for (const end = Date.now() + 20_000; Date.now() < end;) {
    if (await condition()) return;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  throw new Error(`did not happen within 20 s: ${what}`);
}

describe('a run without a gate', () => {
  beforeAll(async () => {
    environment = await startKernelEnvironment();
    await environment.startWorker();
  });
  afterAll(() => environment.stop());

  it('acts, tears down, proves absence twice, and writes evidence that fits the schema', async () => {
    const run = await start();
    const result = await run.handle.result() as { fence: number; evidence: string };
    await run.guardian.result();
    const evidence = await run.evidence();
    expect(evidence.outcome).toBe('succeeded');
    expect(evidence.steps.map((step) => [step.name, step.outcome, step.attempts, step.summary])).toEqual([
      ['write one', 'done', 1, 'wrote one'], ['write two', 'done', 1, 'wrote two'],
    ]);
    expect(evidence.compensations).toEqual([]);
    expect(evidence.teardown).toMatchObject({ outcome: 'done', provenAbsent: true, destroyed: ['one', 'two'] });
    expect(evidence.teardown.proofs).toHaveLength(2);
    expect(existsSync(path.join(run.root, `box-${result.fence}`))).toBe(false);
    expect(await run.journal()).toEqual(['begin one', 'begin two']);
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
    expect((await readdir(run.root)).filter((name) => name !== 'journal')).toEqual([]);
    expect(evidence.steps.map((step) => [step.name, step.outcome])).toEqual([['write one', 'cancelled']]);
    expect(evidence.compensations.map((entry) => entry.id)).toEqual(['one']);
    expect(evidence.teardown.provenAbsent).toBe(true);
    const holders = await environment.client.workflow.getHandle('lock/shop').query<{ holders: unknown[] }>('holders');
    expect(holders.holders).toEqual([]);
  });

  it('has one piece of evidence when its guardian looks after it on a host that has another directory', async () => {
    const run = await start({ failAt: 'two' });
    await run.handle.result().catch(() => undefined);
    await run.guardian.result();
    const otherHost = path.join(run.root, 'evidence of the other host');
    const owner = { workflowId: run.handle.workflowId, firstExecutionRunId: run.handle.firstExecutionRunId };
    const end = { status: 'failed', runId: run.handle.firstExecutionRunId, closedAtMs: Date.now() } as const;
    const { evidence } = await environment.kernelActivities(otherHost).writeEvidenceOfDeadRun({ owner, runbook: 'toy', target: 'shop', outcome: 'failed', end, settlement: NOTHING_SETTLED });
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
    const history = await run.handle.fetchHistory();
    const completed = history.events?.filter((event) => event.workflowTaskCompletedEventAttributes) ?? [];
    const point = completed.at(-1)?.eventId;
    await environment.client.workflowService.resetWorkflowExecution({
      namespace: 'default', workflowExecution: { workflowId: run.handle.workflowId, runId: run.handle.firstExecutionRunId },
      reason: 'test', workflowTaskFinishEventId: point ?? null, requestId: randomUUID(),
    });
    const result = await environment.client.workflow.getHandle(run.handle.workflowId).result() as { fence: number };
    await run.guardian.result();
    expect(existsSync(path.join(run.root, `box-${result.fence}`))).toBe(false);
    expect((await run.evidence()).outcome).toBe('succeeded');
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

describe('a run with a gate', () => {
  beforeAll(async () => {
    environment = await startKernelEnvironment({ start: { approvers: ['anna', 'ben'], quorum: 2, assurance: 'claimed', expiresAfter: '30s' } });
    await environment.startWorker();
  });
  afterAll(() => environment.stop());

  const openGate = (run: Awaited<ReturnType<typeof start>>) => until(async () => (await run.handle.query<Progress>('progress')).openGate !== null, 'the gate is open');

  it('counts each named approver once and refuses everybody else with a sentence', async () => {
    const run = await start({ requester: 'carol' });
    await openGate(run);
    await run.handle.signal('approve');
    await run.handle.signal('approve', { gate: 'start', by: 'mallory' });
    await run.handle.signal('approve', { gate: 'start', by: 'anna' });
    await run.handle.signal('approve', { gate: 'start', by: ' Anna ' });
    await run.handle.signal('approve', 'nonsense');
    await until(async () => (await run.handle.query<RunRecord>('record')).gates[0]?.decisions.length === 4, 'four decisions are identified');
    await expect(run.handle.executeUpdate('decide', { args: [{ gate: 'start', decision: 'approve', by: 'ben', planHash: 'stale' }] })).rejects.toMatchObject({ cause: { message: expect.stringContaining('is not the plan') as string } });
    expect(await run.handle.executeUpdate('decide', { args: [{ gate: 'start', decision: 'approve', by: 'ben' }] })).toEqual({ gate: 'start', outcome: 'approved' });
    await run.handle.result();
    const [gate] = (await run.evidence()).gates;
    expect(gate?.outcome).toBe('approved');
    expect(gate?.decisions.map((decision) => [decision.by, decision.assurance, decision.counted])).toEqual([
      [null, 'none', false], ['mallory', 'claimed', false], ['anna', 'claimed', true], [' Anna ', 'claimed', false], ['ben', 'claimed', true],
    ]);
    const { identity } = environment.client.options;
    expect(gate?.decisions.map((decision) => [decision.channel, decision.identity])).toEqual([...[1, 2, 3, 4].map(() => ['signal', identity]), ['update', null]]);
  });

  it('counts who started the run as its requester, whatever the input says, and nobody else', async () => {
    const { client } = environment;
    const asBen = new Client({ connection: client.connection, identity: 'temporal-cli:ben@db1' });
    const run = await start({ requester: 'carol' }, asBen);
    await openGate(run);
    await expect(run.handle.executeUpdate('decide', { args: [{ gate: 'start', decision: 'approve', by: 'ben' }] })).rejects.toMatchObject({ cause: { message: expect.stringContaining('may not approve') as string } });
    await run.handle.signal('reject', { gate: 'start', by: 'anna' });
    await run.handle.result().catch(() => undefined);
    expect(await run.evidence()).toMatchObject({ requester: 'carol', startedBy: { identity: 'temporal-cli:ben@db1', principal: null } });
  });

  it('says that it cannot know the requester of a bare start, and lets people decide', async () => {
    const run = await start();
    await openGate(run);
    expect((await run.handle.query<Progress>('progress')).openGate?.note).toContain('who requested this run is not known');
    for (const by of ['anna', 'ben']) await run.handle.executeUpdate('decide', { args: [{ gate: 'start', decision: 'approve', by }] });
    await run.handle.result();
    expect(await run.evidence()).toMatchObject({ outcome: 'succeeded', requester: null, startedBy: { identity: environment.client.options.identity } });
  });

  it('is not kept from ending by any size or number of messages', async () => {
    const run = await start();
    await openGate(run);
    const huge = 'x'.repeat(1_000_000);
    await run.handle.signal('approve', { gate: 'start', by: 'mallory', comment: huge });
    await run.handle.signal('reject', { gate: 'start', by: 'mallory', comment: huge });
    await run.handle.signal('approve', { gate: 'start', by: huge });
    for (let sent = 0; sent < 60; sent += 1) await run.handle.signal('approve', { gate: 'start', by: 'mallory', comment: 'x'.repeat(500) });
    for (const [update, input] of [['decide', { gate: 'start', decision: 'approve', by: 'anna', comment: huge }], ['pause', { by: 'anna', reason: huge }]] as const) {
      await expect(run.handle.executeUpdate(update, { args: [input] })).rejects.toMatchObject({ cause: { message: expect.stringContaining('at most 500') as string } });
    }
    await until(async () => (await run.handle.query<RunRecord>('record')).gates[0]?.decisionsLeftOut === 10, 'all decisions are identified');
    const { refused, refusedLeftOut } = await run.handle.query<RunRecord>('record');
    expect([refused.length, refusedLeftOut]).toEqual([50, 13]);
    expect(refused[0]).toContain('at most 500');
    await run.handle.signal('reject', { gate: 'start', by: 'ben' });
    await expect(run.handle.result()).rejects.toMatchObject({ cause: { type: 'REJECTED' } });
    const [gate] = (await run.evidence()).gates;
    expect(gate?.decisions).toHaveLength(51);
    expect(gate?.decisions.at(-1)).toMatchObject({ by: 'ben', counted: true });
  });

  it('ends as rejected, with nothing created, when one person says no', async () => {
    const run = await start();
    await openGate(run);
    await run.handle.signal('reject', { by: 'ben', comment: 'not tonight', gate: 'start' });
    await expect(run.handle.result()).rejects.toMatchObject({ cause: { type: 'REJECTED', message: 'gate "start" was rejected by ben: not tonight' } });
    expect((await run.evidence()).outcome).toBe('rejected');
    expect(await run.journal()).toEqual([]);
  });
});

describe('gates that ask for more than a name, or for none', () => {
  /** What a server with an authorizer would stamp on the next decisions; the embedded one has none. */
  let principal: string | null = null;
  let said = '';
  const spies: MockInstance[] = [];
  beforeAll(async () => {
    environment = await startKernelEnvironment({ start: { approvers: ['anna', 'ben'], quorum: 2, assurance: 'principal' } }, {}, { unnamed: { start: { assurance: 'none' } } });
    const real = environment.kernelActivities(path.join(environment.root, 'evidence'));
    await environment.startWorker({ identifyDecision: async (input) => ({ ...await real.identifyDecision(input), principal }) });
    for (const stream of [process.stdout, process.stderr]) spies.push(vi.spyOn(stream, 'write').mockImplementation((text) => { said += String(text); return true; }));
  });
  afterAll(() => {
    for (const spy of spies) spy.mockRestore();
    return environment.stop();
  });

  const openGate = (run: Awaited<ReturnType<typeof start>>) => until(async () => (await run.handle.query<Progress>('progress')).openGate !== null, 'the gate is open');
  const decideAs = async (name: string | null, decide: typeof approve, workflowId: string) => {
    principal = name;
    said = '';
    return { code: await decide(workflowId, { address: environment.server.address, by: 'somebody' }), said };
  };

  it('`runbook approve` sends a signal where only a verified name counts, and says what became of it', async () => {
    const run = await start({ database: 'shop' });
    await openGate(run);
    await expect(run.handle.executeUpdate('decide', { args: [{ gate: 'start', decision: 'approve', by: 'anna' }] })).rejects.toMatchObject({ cause: { message: expect.stringContaining('no verified name, a signal does') as string } });
    expect(await decideAs(null, approve, run.handle.workflowId)).toEqual({ code: 2, said: expect.stringContaining('did not count: gate "start" asks for assurance "principal"') as string });
    expect(await decideAs('anna', approve, run.handle.workflowId)).toEqual({ code: 0, said: 'approve by anna counts at gate "start"; the gate needs 2 approvals and waits for the others\n' });
    expect(await decideAs('anna', approve, run.handle.workflowId)).toEqual({ code: 2, said: expect.stringContaining('anna has already decided') as string });
    expect(await decideAs('ben', approve, run.handle.workflowId)).toEqual({ code: 0, said: 'approve by ben counts at gate "start": approved\n' });
    await run.handle.result();
    expect((await run.evidence()).gates[0]?.decisions.filter(({ counted }) => counted).map(({ by, assurance }) => [by, assurance])).toEqual([['anna', 'principal'], ['ben', 'principal']]);
    const other = await start({ database: 'shop' });
    await openGate(other);
    expect(await decideAs('ben', reject, other.handle.workflowId)).toEqual({ code: 0, said: 'reject by ben counts at gate "start": rejected\n' });
    await expect(other.handle.result()).rejects.toMatchObject({ cause: { type: 'REJECTED' } });
  });

  it('an empty form from the client of whoever started the run does not count, and that of another does', async () => {
    principal = null;
    const { client: { connection } } = environment;
    const [ben, anna] = ['ben', 'anna'].map((name) => new Client({ connection, identity: `temporal-cli:${name}@db1` }));
    const run = await start({ database: 'unnamed' }, ben);
    await openGate(run);
    expect((await run.handle.query<Progress>('progress')).openGate?.note).toContain('an empty form names nobody');
    await run.handle.signal('approve', { gate: 'start' });
    await until(async () => (await run.handle.query<RunRecord>('record')).refused.some((reason) => reason.includes('ben, who sent this without a name')), 'it is refused');
    await anna?.workflow.getHandle(run.handle.workflowId).signal('approve', { gate: 'start' });
    await run.handle.result();
    expect((await run.evidence()).gates[0]?.decisions.map(({ by, identity, counted }) => [by, identity, counted])).toEqual([[null, 'temporal-cli:ben@db1', false], [null, 'temporal-cli:anna@db1', true]]);
  });
});

describe('a run with a gate that expires after two seconds', () => {
  beforeAll(async () => {
    environment = await startKernelEnvironment({ start: { expiresAfter: '2s' } });
    await environment.startWorker();
  });
  afterAll(() => environment.stop());

  it('ends as rejected, with nothing created and evidence that says that the gate expired', async () => {
    const run = await start();
    await expect(run.handle.result()).rejects.toMatchObject({ cause: { type: 'REJECTED', message: expect.stringMatching(/^gate "start" expired at .* without enough approvals$/) as string } });
    await run.guardian.result();
    expect(await run.evidence()).toMatchObject({ outcome: 'rejected', gates: [{ outcome: 'expired', decisions: [] }], steps: [], teardown: { outcome: 'notNeeded' }, chain: { writtenBy: 'run' } });
    expect(await run.journal()).toEqual([]);
  });
});
