import path from 'node:path';
import { readFile } from 'node:fs/promises';
import { Client, type Connection, type WorkflowHandle, type WorkflowStartOptions } from '@temporalio/client';
import { defaultPayloadConverter } from '@temporalio/common';
import proto from '@temporalio/proto';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { parse } from 'yaml';
import type { RunRecord } from '../../contracts/record.ts';
import { SEARCH_ATTRIBUTES } from '../../contracts/search-attributes.ts';
import { approve } from '../../scripts/cli/decide.ts';
import { hasGo } from '../../scripts/embedded/go-build.ts';
import { authorizationSettings, otherKey, PRINCIPAL_SETTING, startAuthorizingServer, type AuthorizingServer, type TokenOptions } from '../support/authorizing-server.ts';
import { ROOT } from '../support/documentation.ts';
import { startKernelEnvironment, type KernelEnvironment } from '../support/kernel-environment.ts';
import { PATIENT } from '../support/patience.ts';
import { gateOpens, startToy, until, type ToyRun } from '../support/toy-runs.ts';
import { connectClient } from '../../scripts/client-connection.ts';
import { registerSearchAttributes } from '../../workers/search-attributes.ts';

const { CommandType, WorkflowTaskFailedCause } = proto.temporal.api.enums.v1;

/** A build of the server from nothing takes minutes; afterwards it is in the cache. */
const BUILD_MS = 30 * 60_000;

/** Who the tokens say they are for; `people` says who that is. */
const [ANNA, BEN, CAROL, WORKER] = ['anna@example.org', 'ben@example.org', 'carol@example.org', 'runbooks-worker'];

let server: AuthorizingServer;
let environment: KernelEnvironment;
let working: Awaited<ReturnType<KernelEnvironment['startWorker']>>;
const connections: Connection[] = [];

/** A client with somebody's token, and what else it sends and calls itself. */
async function as(subject: string, { token, forged = {}, identity }: { token?: TokenOptions; forged?: Record<string, string>; identity?: string } = {}): Promise<Client> {
  return withMetadata({ ...server.metadataFor(subject, token), ...forged }, identity);
}

async function withMetadata(metadata: Record<string, string>, identity?: string): Promise<Client> {
  const connection = await connectClient({ address: server.address, metadata });
  connections.push(connection);
  return new Client({ connection, ...(identity === undefined ? {} : { identity }) });
}

async function startedBy(subject: string, database: string, options: Partial<WorkflowStartOptions> = {}): Promise<ToyRun> {
  const run = await startToy(environment, { database }, await as(subject), options);
  await gateOpens(run);
  return run;
}

const signal = (client: Client, { handle }: ToyRun, message: Record<string, unknown> = { gate: 'start' }) => client.workflow.getHandle(handle.workflowId).signal('approve', message);
const decisionsOf = async ({ handle }: Pick<ToyRun, 'handle'>) => (await environment.client.workflow.getHandle(handle.workflowId).query<RunRecord>('record')).gates[0]?.decisions ?? [];
const eventsOf = async (handle: WorkflowHandle) => (await handle.fetchHistory()).events ?? [];

async function decided(run: ToyRun, count = 1) {
  await until(async () => (await decisionsOf(run)).length >= count, `${count} decisions are identified`);
  return decisionsOf(run);
}

/** Takes a workflow's task as a worker does; those of others come again when they time out. */
async function takeTask({ connection, workflowService }: Client, taskQueue: string, workflowId: string) {
  for (;;) {
    const task = await connection.withDeadline(Date.now() + 20_000, () => workflowService.pollWorkflowTaskQueue({ namespace: 'default', taskQueue: { name: taskQueue }, identity: 'test' }));
    if (task.workflowExecution?.workflowId === workflowId) return task;
  }
}

/** With whose name the server stamped each `approve`. */
async function stamps(handle: WorkflowHandle) {
  const events = (await eventsOf(handle)).filter((event) => event.workflowExecutionSignaledEventAttributes?.signalName === 'approve');
  return events.map(({ principal }) => (principal ? `${principal.type}: ${principal.name}` : null));
}

const isGoThere = await hasGo(process.env);

describe.skipIf(!isGoThere)(`a server that verifies tokens${isGoThere ? '' : ' (skipped: it is built with Go, which is not installed)'}`, () => {
  beforeAll(async () => {
    server = await startAuthorizingServer(console.log);
    const principal = { assurance: 'principal' };
    environment = await startKernelEnvironment({ start: { ...principal, approvers: ['Anna', 'Ben'] } }, {}, {
      annas: { start: { ...principal, approvers: ['Anna'] } }, anyones: { start: principal }, claimed: { start: { assurance: 'claimed' } },
    }, { people: { Anna: { aliases: [ANNA] }, Ben: { aliases: [BEN] } } }, { server, metadata: server.metadataFor(WORKER) });
    working = await environment.startWorker();
  }, BUILD_MS);
  afterAll(async () => {
    for (const connection of connections) await connection.close();
    await environment?.stop();
  });

  it('works with a token that may register no search attributes: a worker says so, and runs do without them', async () => {
    const warnings: string[] = [];
    const { connection } = await as(WORKER);
    expect(await registerSearchAttributes(connection, 'default', (line) => warnings.push(line))).toEqual([]);
    expect(warnings).toEqual([`the search attributes ${Object.keys(SEARCH_ATTRIBUTES).join(', ')} could not be registered (7 PERMISSION_DENIED: Request unauthorized.); runs do without them`]);
    const run = await startedBy(CAROL, 'anyones');
    await signal(await as(ANNA), run);
    await run.handle.result();
    // The SDK sets one of the server's own, of what code a run is.
    expect((await eventsOf(run.handle)).flatMap((event) => Object.keys(event.upsertWorkflowSearchAttributesEventAttributes?.searchAttributes?.indexedFields ?? {})).filter((name) => name !== 'TemporalChangeVersion')).toEqual([]);
  });

  it('counts a signal as that of whose token it came with, under the name in it, whoever the payload names', async () => {
    const run = await startedBy(CAROL, 'shop');
    await signal(await as(ANNA), run, { gate: 'start', by: 'mallory', comment: 'go' });
    await run.handle.result();
    expect(await stamps(run.handle)).toEqual([`jwt: ${ANNA}`]);
    expect(await run.evidence()).toMatchObject({
      startedBy: { principal: CAROL }, gates: [{ outcome: 'approved', decisions: [{ by: ANNA, assurance: 'principal', channel: 'signal', comment: 'go', counted: true }] }],
    });
  });

  it('says in the evidence who aborted a run with an empty form', async () => {
    const run = await startedBy(CAROL, 'annas');
    const { workflow } = await as(ANNA, { identity: 'the web UI' });
    await workflow.getHandle(run.handle.workflowId).signal('pause');
    await (await as(BEN)).workflow.getHandle(run.handle.workflowId).signal('abort', { by: 'mallory' });
    await run.handle.result().catch(() => undefined);
    expect((await run.evidence()).operations).toMatchObject([{ operation: 'pause', by: null, identity: 'the web UI', principal: ANNA }, { operation: 'abort', by: 'mallory', principal: BEN }]);
  });

  it('takes the name that a payload, a client or a forged header gives for nothing beside the token\'s', async () => {
    // The HTTP API finds no run with a slash in its id.
    const run = await startedBy(CAROL, 'annas', { workflowId: 'toy-forged' });
    const forged = { 'temporal-principal-type': 'jwt', 'temporal-principal-name': ANNA };
    await signal(await as(BEN), run, { gate: 'start', by: 'Anna' });
    await signal(await as(BEN, { identity: 'temporal-cli:anna@host' }), run);
    await signal(await as(BEN, { forged: { ...forged, 'authorization-extras': `Bearer ${server.authority.tokenFor(ANNA)}` } }), run);
    const answer = await fetch(`${server.httpAddress}/namespaces/default/workflows/${run.handle.workflowId}/signal/approve`, {
      method: 'POST', body: JSON.stringify({ input: [{ gate: 'start', by: 'Anna' }] }),
      headers: { ...server.metadataFor(BEN), 'content-type': 'application/json', ...forged, ...Object.fromEntries(Object.entries(forged).map(([name, value]) => [`Grpc-Metadata-${name}`, value])) },
    });
    expect(answer.status).toBe(200);
    expect((await decided(run, 4)).map(({ by, assurance, identity, reason }) => [by, assurance, identity === 'temporal-cli:anna@host', reason])).toEqual(
      [false, true, false, false].map((isSpoofed) => [BEN, 'principal', isSpoofed, `${BEN} may not decide at gate "start"; one of Anna must`]));
    expect(await stamps(run.handle)).toEqual(Array(4).fill(`jwt: ${BEN}`));
    await signal(await as(ANNA), run);
    expect((await decided(run, 5)).at(-1)).toMatchObject({ by: ANNA, assurance: 'principal', counted: true });
  });

  it('lets in nobody without a token that is valid, and whole, and for this namespace', async () => {
    const run = await startedBy(CAROL, 'shop');
    const [head, content] = server.authority.tokenFor(ANNA).split('.');
    const unsigned = Buffer.from(JSON.stringify({ alg: 'none', typ: 'JWT', kid: 'runbooks' })).toString('base64url');
    const intruders: [string, () => Promise<Client>][] = [
      ['no token', () => withMetadata({})],
      ['forged headers alone', () => withMetadata({ 'temporal-principal-type': 'jwt', 'temporal-principal-name': ANNA })],
      ['expired', () => as(ANNA, { token: { expiresInSeconds: -60 } })],
      ['another key', () => as(ANNA, { token: { key: otherKey() } })],
      ['no signature', () => withMetadata({ authorization: `Bearer ${unsigned}.${content}.` })],
      ['the signature of another', () => withMetadata({ authorization: `Bearer ${head}.${content}.${server.authority.tokenFor(BEN).split('.')[2]}` })],
      ['another namespace', () => as(ANNA, { token: { permissions: ['other:admin'] } })],
      ['may only read', () => as(ANNA, { token: { permissions: ['default:read'] } })],
    ];
    for (const [title, intruder] of intruders) {
      // What is no token at all is refused on connecting already.
      await expect(intruder().then((client) => signal(client, run)), title).rejects.toMatchObject({ cause: { code: 7, details: 'Request unauthorized.' } });
    }
    expect(await stamps(run.handle)).toEqual([]);
    await expect(approve(run.handle.workflowId, cli(server.authority.tokenFor(ANNA, { expiresInSeconds: -60 })))).rejects.toThrow(/refused access to namespace default \(Request unauthorized\.\); use credentials that may/);
  });

  it('lets nobody approve what they started, whatever requester the input names', async () => {
    const run = await startToy(environment, { database: 'shop', requester: 'Carol' }, await as(ANNA));
    await gateOpens(run);
    await signal(await as(ANNA), run);
    expect((await decided(run))[0]).toMatchObject({ by: ANNA, assurance: 'principal', counted: false, reason: expect.stringContaining(`${ANNA} requested or started this run and may not approve it`) as string });
    await signal(await as(BEN), run);
    expect((await decided(run, 2))[1]).toMatchObject({ by: BEN, counted: true });
  });

  it('stamps the worker on an update, so that one counts as claimed at best, and `runbook approve` sends a signal', async () => {
    const claimed = await startedBy(CAROL, 'claimed');
    await (await as(ANNA)).workflow.getHandle(claimed.handle.workflowId).executeUpdate('decide', { args: [{ gate: 'start', decision: 'approve', by: 'Ben' }] });
    const accepted = (await eventsOf(claimed.handle)).find((event) => event.workflowExecutionUpdateAcceptedEventAttributes);
    expect(accepted?.principal).toMatchObject({ type: 'jwt', name: WORKER });
    expect((await decisionsOf(claimed))[0]).toMatchObject({ by: 'Ben', assurance: 'claimed', channel: 'update', counted: true });

    const run = await startedBy(CAROL, 'shop');
    await expect((await as(ANNA)).workflow.getHandle(run.handle.workflowId).executeUpdate('decide', { args: [{ gate: 'start', decision: 'approve', by: 'Anna' }] })).rejects.toMatchObject({ cause: { message: expect.stringContaining('an update brings the run no verified name, a signal does') as string } });
    let said = '';
    const spy = vi.spyOn(process.stdout, 'write').mockImplementation((text) => { said += String(text); return true; });
    try {
      expect(await approve(run.handle.workflowId, cli(server.authority.tokenFor(ANNA)))).toBe(0);
    } finally {
      spy.mockRestore();
    }
    // Or the run had looked once more by the time that it was asked.
    expect(said.replace('enough approvals; the plan is looked at once more', 'approved')).toBe(`approve by ${ANNA} counts at gate "start": approved\n`);
  });

  it('takes the server itself for nobody: a batch job, which anybody may start, and a schedule', async () => {
    const run = await startedBy(ANNA, 'anyones');
    const anna = await as(ANNA);
    await anna.workflowService.startBatchOperation({
      namespace: 'default', jobId: 'forged', reason: 'approves my own run', executions: [{ workflowId: run.handle.workflowId, runId: run.handle.firstExecutionRunId }],
      signalOperation: { signal: 'approve', input: { payloads: [defaultPayloadConverter.toPayload({ gate: 'start' })] }, identity: ANNA },
    });
    expect((await decided(run))[0]).toMatchObject({ by: null, assurance: 'none', counted: false, reason: expect.stringContaining('it stamped no person\'s on this one') as string });
    expect(await stamps(run.handle)).toEqual(['temporal: internal']);

    const schedule = await anna.schedule.create({ scheduleId: 'toy', spec: {}, action: { type: 'startWorkflow', workflowType: 'toy', taskQueue: 'runbooks', workflowId: 'toy/scheduled', args: [{ root: path.join(environment.root, 'scheduled'), database: 'anyones' }] } });
    await schedule.trigger();
    const described = await vi.waitFor(async () => {
      const [started] = (await schedule.describe()).info.recentActions;
      const { workflowId, firstExecutionRunId } = (started as { action: { workflow: { workflowId: string; firstExecutionRunId: string } } }).action.workflow;
      const handle = environment.client.workflow.getHandle(workflowId, firstExecutionRunId);
      const { startedBy: starter } = await handle.query<RunRecord>('record');
      expect(starter).toBeTruthy();
      return { starter, first: (await eventsOf(handle))[0] };
    }, { ...PATIENT, interval: 100 });
    expect(described.first?.principal).toMatchObject({ type: 'temporal', name: 'internal' });
    expect(described.starter?.principal).toBeNull();
  });

  it('takes whoever resets a run for nobody\'s earlier decision', async () => {
    const run = await startedBy(CAROL, 'annas');
    // The task that is done again after the reset must be one that begins with the gate open.
    await signal(await as(CAROL), run, { gate: 'other' });
    await until(async () => (await run.handle.query<RunRecord>('record')).refused.length === 1, 'a task begins with the gate open');
    await signal(await as(BEN), run);
    await decided(run);
    const anna = await as(ANNA);
    const events = await eventsOf(run.handle);
    const opened = events.slice(0, events.findLastIndex((event) => event.workflowExecutionSignaledEventAttributes)).findLast((event) => event.workflowTaskCompletedEventAttributes);
    const { runId } = await anna.workflowService.resetWorkflowExecution({ namespace: 'default', workflowExecution: { workflowId: run.handle.workflowId, runId: run.handle.firstExecutionRunId }, reason: 'test', requestId: 'reset', workflowTaskFinishEventId: opened?.eventId ?? null });
    const again = environment.client.workflow.getHandle(run.handle.workflowId, runId);
    expect(await stamps(again)).toEqual([`jwt: ${CAROL}`, `jwt: ${ANNA}`]);
    await until(async () => (await decisionsOf({ handle: run.handle })).length === 1, 'the repeated signal is identified');
    expect((await decisionsOf({ handle: run.handle }))[0]).toMatchObject({ by: null, assurance: 'none', counted: false });
    await signal(anna, run);
    expect((await decided(run, 2))[1]).toMatchObject({ by: ANNA, assurance: 'principal', counted: true });
  });

  it('keeps the sender of a signal that arrives during a task, and takes the worker for nobody, also where another workflow sent it', async () => {
    const run = await startedBy(ANNA, 'anyones');
    await signal(environment.client, run, { gate: 'start', by: 'Ben' });
    expect((await decided(run))[0]).toMatchObject({ by: 'Ben', assurance: 'claimed', counted: false });
    await working.stop();
    await signal(await as(CAROL), run, { gate: 'other' });
    const task = await takeTask(environment.client, 'runbooks', run.handle.workflowId);

    const anna = await as(ANNA);
    const forger = await anna.workflow.start('forger', { workflowId: 'forger', taskQueue: 'forgers' });
    const { taskToken } = await takeTask(anna, 'forgers', forger.workflowId);
    await anna.workflowService.respondWorkflowTaskCompleted({ taskToken, identity: 'test', commands: [{
      commandType: CommandType.COMMAND_TYPE_SIGNAL_EXTERNAL_WORKFLOW_EXECUTION,
      signalExternalWorkflowExecutionCommandAttributes: { namespace: 'default', execution: { workflowId: run.handle.workflowId }, signalName: 'approve', input: { payloads: [defaultPayloadConverter.toPayload({ gate: 'start', by: 'Ben' })] } },
    }] });
    await until(async () => (await eventsOf(forger)).some((event) => event.externalWorkflowExecutionSignaledEventAttributes), 'the forged signal is delivered');
    await signal(await as(BEN), run);
    const asWorker = environment.client.workflowService;
    await asWorker.respondWorkflowTaskFailed({ namespace: 'default', taskToken: task.taskToken, identity: 'test', cause: WorkflowTaskFailedCause.WORKFLOW_TASK_FAILED_CAUSE_WORKFLOW_WORKER_UNHANDLED_FAILURE });
    working = await environment.startWorker();
    await run.handle.result();
    expect(await stamps(run.handle)).toEqual([`jwt: ${WORKER}`, `jwt: ${CAROL}`, `jwt: ${WORKER}`, `jwt: ${BEN}`]);
    expect((await run.evidence()).gates[0]?.decisions.map(({ by, assurance, counted }) => [by, assurance, counted])).toEqual([['Ben', 'claimed', false], ['Ben', 'claimed', false], [BEN, 'principal', true]]);
  });
});

function cli(apiKey: string) {
  return { address: server.address, apiKey, tls: false, by: 'somebody' };
}

it('the settings that the how-to shows are those that this server ran with', async () => {
  const page = await readFile(path.join(ROOT, 'docs/how-to/verified-approvers.md'), 'utf8');
  const shown = [...page.matchAll(/^```yaml\n(.*?)^```/gms)].map(([, text]) => parse(text ?? '') as Record<string, unknown>);
  const uri = 'https://login.example.org/keys.json';
  expect(shown).toContainEqual(PRINCIPAL_SETTING);
  expect(shown).toContainEqual(expect.objectContaining({ global: { authorization: authorizationSettings(uri) } }));
});
