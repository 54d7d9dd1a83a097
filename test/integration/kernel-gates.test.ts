import path from 'node:path';
import { Client, type WorkflowHandle, type WorkflowStartOptions } from '@temporalio/client';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { textOf } from '../../activities/evidence/chain/seal.ts';
import { verifyChain } from '../../activities/evidence/chain/verify.ts';
import { ENOUGH_APPROVALS } from '../../contracts/deciding.ts';
import type { RunRecord } from '../../contracts/record.ts';
import type { Progress } from '../../contracts/messages.ts';
import { approve, reject } from '../../scripts/cli/decide.ts';
import { decideBySignal } from '../../scripts/cli/decide-by-signal.ts';
import { captureOutput } from '../support/captured-output.ts';
import { currentDetailsOf } from '../support/current-details.ts';
import { startKernelEnvironment, type KernelEnvironment } from '../support/kernel-environment.ts';
import { gateOpens, startToy, until, type ToyRun } from '../support/toy-runs.ts';

/** Whether the run had looked once more by the time that it was asked. */
const PASSED = /^approve by ben counts at gate "start": (approved|enough approvals; the plan is looked at once more)\n$/;
/** What is left of a smile that was cut. */
const HALF = '\u{1F600}'.slice(0, 1);

let environment: KernelEnvironment;
const start = (input?: Record<string, unknown>, client?: Client, options?: Partial<WorkflowStartOptions>) => startToy(environment, input, client, options);

describe('a run with a gate', () => {
  beforeAll(async () => {
    environment = await startKernelEnvironment({ start: { approvers: ['anna', 'ben'], quorum: 2, assurance: 'claimed', expiresAfter: '10m' } });
    await environment.startWorker();
  });
  afterAll(() => environment.stop());

  it('counts each named approver once and refuses everybody else with a sentence', async () => {
    const run = await start({ requester: 'carol' });
    await gateOpens(run);
    await run.handle.signal('approve');
    await run.handle.signal('approve', { gate: 'start', by: 'mallory' });
    await run.handle.signal('approve', { gate: 'start', by: 'anna' });
    await run.handle.signal('approve', { gate: 'start', by: ' Anna ' });
    await run.handle.signal('approve', 'nonsense');
    await run.handle.signal('approve', { gate: '\n\n# [approved](http://x)' });
    await until(async () => (await run.handle.query<RunRecord>('record')).gates[0]?.decisions.length === 4, 'four decisions are identified');
    const currentDetails = await currentDetailsOf(run.handle);
    // What the hash covers, for who decides in the web UI.
    for (const fact of ['plan: writes: one, two', 'plan: code version: ', 'plan: input.requester: carol']) expect(currentDetails).toContain(fact);
    expect(await run.handle.query('plan')).toMatchObject({ plan: { writes: ['one', 'two'] }, input: { requester: 'carol' }, codeVersion: expect.any(String) as string });
    expect(currentDetails).toContain(String.raw`: it is for gate "  # \[approved\](http\://x)" and`);
    await expect(run.handle.executeUpdate('decide', { args: [{ gate: 'start', decision: 'approve', by: 'ben', planHash: 'stale' }] })).rejects.toMatchObject({ cause: { message: expect.stringContaining('is not the plan') as string } });
    expect(await run.handle.executeUpdate('decide', { args: [{ gate: 'start', decision: 'approve', by: 'ben' }] })).toEqual({ gate: 'start', outcome: ENOUGH_APPROVALS, by: 'ben' });
    await run.handle.result();
    const { gates: [gate], refused, refusedLeftOut } = await run.evidence();
    expect(refused).toHaveLength(5);
    expect([refused.find((reason) => reason.includes('its argument is not { gate?, by?, comment?, planHash?, signature? }')), refusedLeftOut]).toEqual([expect.stringMatching(/^approve at /), 0]);
    expect(gate?.outcome).toBe('approved');
    expect(gate?.decisions.map((decision) => [decision.by, decision.assurance, decision.counted])).toEqual([
      [null, 'none', false], ['mallory', 'claimed', false], ['anna', 'claimed', true], [' Anna ', 'claimed', false], ['ben', 'claimed', true],
    ]);
    const { identity } = environment.client.options;
    expect(gate?.decisions.map((decision) => [decision.channel, decision.identity])).toEqual([...[1, 2, 3, 4].map(() => ['signal', identity]), ['update', identity]]);
  });

  it('half a character that somebody sends stops nobody, and stands in no evidence', async () => {
    const run = await start({ requester: `carol ${HALF}` });
    await gateOpens(run);
    await run.handle.executeUpdate('pause', { args: [{ by: `carol${HALF}`, reason: `half ${HALF}` }] });
    await run.handle.executeUpdate('resume', { args: [{ by: 'carol', reason: `${HALF} half` }] });
    await run.handle.signal('reject', { gate: 'start', by: 'anna', comment: `half ${HALF} of a smile` });
    const message = 'gate "start" was rejected by anna: half \uFFFD of a smile';
    await expect(run.handle.result()).rejects.toMatchObject({ cause: { type: 'REJECTED', message } });
    const evidence = await run.evidence();
    expect(evidence).toMatchObject({ requester: 'carol \uFFFD', failure: { message }, operations: [{ by: 'carol\uFFFD', reason: 'half \uFFFD' }, { reason: '\uFFFD half' }], gates: [{ decisions: [{ comment: 'half \uFFFD of a smile' }] }] });
    expect(verifyChain(new TextEncoder().encode(textOf(evidence))).flaws).toEqual([]);
  });

  it.each([
    ['an abort by half a character', 'abort', { by: HALF }, 'ABORTED'],
    ['an abort for half a reason', 'abort', { by: 'bot', reason: `no ${HALF}` }, 'ABORTED'],
    ['a rejection with half a comment', 'reject', { gate: 'start', by: 'anna', comment: HALF }, 'REJECTED'],
  ])('%s ends the run, and no worker, however short the sentence that tells of it', async (_, signal, message, type) => {
    const run = await start();
    await gateOpens(run);
    await run.handle.signal(signal, message);
    await expect(run.handle.result()).rejects.toMatchObject({ cause: { type, message: expect.stringContaining('\uFFFD') as string } });
    const next = await start();
    await gateOpens(next);
    await next.handle.terminate();
  });

  it('counts who started the run as its requester, whatever the input says, and nobody else', async () => {
    const { client } = environment;
    const asBen = new Client({ connection: client.connection, identity: 'temporal-cli:ben@db1' });
    const run = await start({ requester: 'carol' }, asBen);
    await gateOpens(run);
    await expect(run.handle.executeUpdate('decide', { args: [{ gate: 'start', decision: 'approve', by: 'ben' }] })).rejects.toMatchObject({ cause: { message: expect.stringContaining('may not approve') as string } });
    await run.handle.signal('reject', { gate: 'start', by: 'anna' });
    await run.handle.result().catch(() => undefined);
    expect(await run.evidence()).toMatchObject({ requester: 'carol', startedBy: { identity: 'temporal-cli:ben@db1', principal: null } });
  });

  it('says that it cannot know the requester of a bare start, and lets people decide', async () => {
    const run = await start();
    await gateOpens(run);
    expect((await run.handle.query<Progress>('progress')).openGate?.note).toContain('who requested this run is not known');
    for (const by of ['anna', 'ben']) await run.handle.executeUpdate('decide', { args: [{ gate: 'start', decision: 'approve', by }] });
    await run.handle.result();
    expect(await run.evidence()).toMatchObject({ outcome: 'succeeded', requester: null, startedBy: { identity: environment.client.options.identity }, gates: [{ events: [{ event: 'requesterUnchecked', detail: expect.stringContaining('who requested this run is not known') as string }] }] });
  });

  it('is not kept from ending by any size or number of messages', async () => {
    const run = await start();
    await gateOpens(run);
    const huge = 'x'.repeat(1_000_000);
    await run.handle.signal('approve', { gate: 'start', by: 'mallory', comment: huge });
    await run.handle.signal('reject', { gate: 'start', by: 'mallory', comment: huge });
    await run.handle.signal('approve', { gate: 'start', by: huge });
    for (let sent = 0; sent < 60; sent += 1) await run.handle.signal('approve', { gate: 'start', by: 'mallory', comment: 'x'.repeat(500) });
    for (const [update, input] of [['decide', { gate: 'start', decision: 'approve', by: 'anna', comment: huge }], ['pause', { by: 'anna', reason: huge }]] as const) {
      await expect(run.handle.executeUpdate(update, { args: [input] })).rejects.toMatchObject({ cause: { message: expect.stringContaining('at most 500') as string } });
    }
    await until(async () => (await run.handle.query<RunRecord>('record')).gates[0]?.decisionsLeftOut === 10, 'all decisions are identified');
    const { refused, refusedLeftOut } = await run.handle.query<Progress>('progress');
    expect([refused.length, refusedLeftOut]).toEqual([50, 13]);
    expect(refused[0]).toContain('at most 500');
    await run.handle.signal('reject', { gate: 'start', by: 'ben' });
    await expect(run.handle.result()).rejects.toMatchObject({ cause: { type: 'REJECTED' } });
    const [gate] = (await run.evidence()).gates;
    expect(gate?.decisions).toHaveLength(51);
    expect(gate?.decisions.at(-1)).toMatchObject({ by: 'ben', counted: true });
  });

  it('keeps on record what was asked for once, beside what was asked for a hundred times, with who sent it and the policy of the gate', async () => {
    const run = await start();
    await gateOpens(run);
    for (let sent = 0; sent < 100; sent += 1) await run.handle.signal('resume');
    await run.handle.executeUpdate('extendDeadline', { args: [{ gate: 'start', until: new Date(Date.now() + 3_600_000).toISOString(), by: 'ben' }] });
    await expect(run.handle.executeUpdate('extendDeadline', { args: [{ gate: 'none', until: new Date(Date.now() + 3_600_000).toISOString(), by: 'ben' }] })).rejects.toMatchObject({ cause: { message: expect.stringContaining('is not open') as string } });
    await new Client({ connection: environment.client.connection, identity: 'temporal-cli:anna@db1' }).workflow.getHandle(run.handle.workflowId).signal('abort');
    await expect(run.handle.result()).rejects.toMatchObject({ cause: { type: 'ABORTED' } });
    const { operations, operationsLeftOut, gates: [gate] } = await run.evidence();
    const { identity } = environment.client.options;
    expect([operations.filter(({ operation }) => operation === 'resume').length, operationsLeftOut]).toEqual([50, 50]);
    expect(operations.slice(50)).toMatchObject([{ operation: 'extendDeadline', by: 'ben', identity, principal: null }, { operation: 'abort', by: null, identity: 'temporal-cli:anna@db1', principal: null }]);
    expect(gate?.policy).toEqual({ approvers: ['anna', 'ben'], quorum: 2, rejections: 1, requesterMayApprove: false, assurance: 'claimed', escalation: [] });
  });

  it('ends as rejected, with nothing created, when one person says no', async () => {
    const run = await start();
    await gateOpens(run);
    await run.handle.signal('reject', { by: 'ben', comment: 'not tonight', gate: 'start' });
    await expect(run.handle.result()).rejects.toMatchObject({ cause: { type: 'REJECTED', message: 'gate "start" was rejected by ben: not tonight' } });
    expect((await run.evidence()).outcome).toBe('rejected');
    expect(await run.journal()).toEqual([]);
  });
});

describe('gates that ask for more than a name, or for none', () => {
  /** What a server with an authorizer would stamp on the next decisions; the embedded one has none. */
  let principal: string | null = null;
  /** What is known of the next decisions beside what the server says. */
  let beside: { beforeGateWasVisible?: boolean } = {};
  let output: ReturnType<typeof captureOutput>;
  beforeAll(async () => {
    environment = await startKernelEnvironment({ start: { approvers: ['anna', 'ben'], quorum: 2, assurance: 'principal' } }, {}, { unnamed: { start: { assurance: 'none' } } });
    const real = environment.kernelActivities(path.join(environment.root, 'evidence'));
    await environment.startWorker({ identifyDecision: async (input) => ({ ...await real.identifyDecision(input), principal, ...beside }) });
    output = captureOutput();
  });
  afterAll(() => {
    output.end();
    return environment.stop();
  });

  const decideAs = async (name: string | null, decide: typeof approve, workflowId: string) => {
    principal = name;
    output.clear();
    return { code: await decide(workflowId, { address: environment.server.address, by: 'somebody' }), said: output.said() };
  };

  it('`runbook approve` sends a signal where only a verified name counts, and says what became of it', async () => {
    const run = await start({ database: 'shop' });
    await gateOpens(run);
    await expect(run.handle.executeUpdate('decide', { args: [{ gate: 'start', decision: 'approve', by: 'anna' }] })).rejects.toMatchObject({ cause: { message: expect.stringContaining('asks for assurance "principal" and this decision has "claimed"') as string } });
    expect(await decideAs(null, approve, run.handle.workflowId)).toEqual({ code: 2, said: expect.stringContaining('did not count: gate "start" asks for assurance "principal"') as string });
    expect(await decideAs('anna', approve, run.handle.workflowId)).toEqual({ code: 0, said: 'approve by anna counts at gate "start"; the gate needs 2 approvals and waits for the others\n' });
    expect(await decideAs('anna', approve, run.handle.workflowId)).toEqual({ code: 2, said: expect.stringContaining('anna has already decided') as string });
    expect(await decideAs('ben', approve, run.handle.workflowId)).toEqual({ code: 0, said: expect.stringMatching(PASSED) as string });
    await run.handle.result();
    expect((await run.evidence()).gates[0]?.decisions.filter(({ counted }) => counted).map(({ by, assurance }) => [by, assurance])).toEqual([['anna', 'principal'], ['ben', 'principal']]);
    const other = await start({ database: 'shop' });
    await gateOpens(other);
    expect(await decideAs('ben', reject, other.handle.workflowId)).toEqual({ code: 0, said: 'reject by ben counts at gate "start": rejected\n' });
    await expect(other.handle.result()).rejects.toMatchObject({ cause: { type: 'REJECTED' } });
  });

  it('`runbook approve` finds what became of its signal behind a hundred that were refused', async () => {
    const run = await start({ database: 'shop' });
    await gateOpens(run);
    principal = null;
    await Promise.all(Array.from({ length: 100 }, () => run.handle.signal('approve', { gate: 'start', by: 'somebody' })));
    await until(async () => (await run.handle.query<RunRecord>('record')).gates[0]?.decisionsLeftOut === 50, 'all are judged');
    expect(await decideAs(null, approve, run.handle.workflowId)).toEqual({ code: 2, said: expect.stringContaining('did not count: gate "start" asks for assurance "principal"') as string });
    expect(await decideAs('anna', approve, run.handle.workflowId)).toEqual({ code: 0, said: expect.stringContaining('approve by anna counts at gate "start"') as string });
    await run.handle.signal('abort');
  });

  it('`runbook approve` sends nothing that no run takes, and tells what was refused when it hears nothing else', async () => {
    const run = await start({ database: 'shop' });
    await gateOpens(run);
    for (const tooLong of [{ by: 'x'.repeat(201) }, { comment: 'x'.repeat(501) }]) {
      output.clear();
      expect(await approve(run.handle.workflowId, { address: environment.server.address, by: 'anna', ...tooLong })).toBe(2);
      expect(output.said()).toMatch(/did not count: .*at most 200 characters.*at most 500; names .* are not blank; nothing was sent/);
    }
    expect((await run.handle.query<Progress>('progress')).refused).toEqual([]);
    // The worker takes another form than this CLI, and is gone as soon as it has refused.
    let answer: RunRecord | undefined;
    const handle = Object.assign(Object.create(run.handle) as WorkflowHandle, {
      signal: () => run.handle.signal('approve', { gate: 'start', name: 'anna' }),
      query: async () => (answer?.refused.length === 1 ? Promise.reject(new Error('no worker')) : answer = await run.handle.query<RunRecord>('record')),
    });
    await expect(decideBySignal(environment.client, handle, { gate: 'start', decision: 'approve', by: 'anna' }, 2, 'LOOK')).rejects.toMatchObject({ exitCode: 3, message: expect.stringMatching(/whether it counts; meanwhile refused: approve at .*: its argument is not .*; look with: LOOK$/) as string });
    await run.handle.signal('abort');
  });

  it('what names its gate and no plan, and was sent before anybody could see that gate, does not count', async () => {
    principal = null;
    const run = await start({ database: 'unnamed' });
    await gateOpens(run);
    beside = { beforeGateWasVisible: true };
    await run.handle.signal('approve', { gate: 'start', by: 'anna' });
    await until(async () => (await run.handle.query<RunRecord>('record')).refused.length > 0, 'it is judged');
    beside = {};
    const [gate] = (await run.handle.query<RunRecord>('record')).gates;
    expect(gate).toMatchObject({ outcome: 'open', decisions: [{ by: 'anna', counted: false, reason: expect.stringMatching(/^it names no plan and was sent before anybody could see gate "start", which is open since \S+Z; look at it and send it again$/) as string }] });
    beside = { beforeGateWasVisible: true };
    await run.handle.signal('approve', { gate: 'start', by: 'anna', planHash: gate?.planHash });
    await run.handle.result();
    beside = {};
  });

  it('an empty form from the client of whoever started the run does not count, and that of another does', async () => {
    principal = null;
    const { client: { connection } } = environment;
    const [ben, anna] = ['ben', 'anna'].map((name) => new Client({ connection, identity: `temporal-cli:${name}@db1` }));
    const run = await start({ database: 'unnamed' }, ben);
    await gateOpens(run);
    expect((await run.handle.query<Progress>('progress')).openGate?.note).toContain('an empty form names nobody');
    await run.handle.signal('approve', { gate: 'start' });
    await until(async () => (await run.handle.query<RunRecord>('record')).refused.some((reason) => reason.includes('ben, who sent this without a name')), 'it is refused');
    await anna?.workflow.getHandle(run.handle.workflowId).signal('approve', { gate: 'start' });
    await run.handle.result();
    expect((await run.evidence()).gates[0]?.decisions.map(({ by, identity, counted }) => [by, identity, counted])).toEqual([[null, 'temporal-cli:ben@db1', false], [null, 'temporal-cli:anna@db1', true]]);
  });
});

describe('a run that nobody decides in time', () => {
  let working: Awaited<ReturnType<KernelEnvironment['startWorker']>>;
  beforeAll(async () => {
    environment = await startKernelEnvironment({ start: { expiresAfter: '2s' } }, { maximum: '6s' }, { slow: { start: { expiresAfter: '6s' } }, ungated: {} });
    working = await environment.startWorker();
  });
  afterAll(() => environment.stop());

  it('ends as rejected, with nothing created and evidence that says that the gate expired', async () => {
    const run = await start({ database: 'shop' });
    await expect(run.handle.result()).rejects.toMatchObject({ cause: { type: 'REJECTED', message: expect.stringMatching(/^gate "start" expired at .* without enough approvals$/) as string } });
    expect(await run.evidence()).toMatchObject({ outcome: 'rejected', gates: [{ outcome: 'expired', decisions: [] }], steps: [], teardown: { outcome: 'notNeeded' }, chain: { writtenBy: 'run' } });
    expect(await run.journal()).toEqual([]);
  });

  it('counts what was sent in time, and only that, though no worker was up to take it', async () => {
    const [approved, late, paused] = await Promise.all([start({ database: 'slow' }), start({ database: 'slow' }), start({ database: 'ungated', looksFirst: true })]);
    await until(async () => (await paused.handle.query<Progress>('progress')).phase === 'look', 'the first look began');
    await paused.handle.signal('pause');
    await Promise.all([gateOpens(approved), gateOpens(late)]);
    await until(async () => (await paused.handle.query<Progress>('progress')).phase === 'paused before: look again', 'it is paused');
    await working.stop();
    await approved.handle.signal('approve', { gate: 'start', by: 'anna' });
    await paused.handle.signal('resume');
    // A step's own timer is fired by then; the one of the gate or the pause is the last.
    const timersOver = async ({ handle }: ToyRun) => {
      const events = (await handle.fetchHistory()).events ?? [];
      return events.filter((event) => event.timerFiredEventAttributes).length === events.filter((event) => event.timerStartedEventAttributes).length;
    };
    await until(async () => (await Promise.all([approved, late, paused].map(timersOver))).every(Boolean), 'the time of all is over');
    for (const { handle } of [approved, late]) await handle.signal('approve', { gate: 'start', by: 'ben' });
    const update = late.handle.executeUpdate('decide', { args: [{ gate: 'start', decision: 'approve', by: 'carol' }] }).catch((error: unknown) => error);
    working = await environment.startWorker();

    expect(await update).toMatchObject({ cause: { message: expect.stringContaining('after gate "start" had expired') as string } });
    await Promise.all([approved.handle.result(), paused.handle.result()]);
    await expect(late.handle.result()).rejects.toMatchObject({ cause: { type: 'REJECTED' } });
    const tooLate = [false, expect.stringMatching(/^it arrived after gate "start" had expired at /) as string];
    for (const [run, outcome, decisions] of [[approved, 'approved', [['anna', true, null], ['ben', ...tooLate]]], [late, 'expired', [['ben', ...tooLate]]]] as const) {
      const [gate] = (await run.evidence()).gates;
      expect({ ...gate, decisions: gate?.decisions.map(({ by, counted, reason }) => [by, counted, reason]) }).toMatchObject({ outcome, decisions });
    }
  });
});
