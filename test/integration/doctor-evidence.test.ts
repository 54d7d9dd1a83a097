import { randomUUID } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Client, type Connection } from '@temporalio/client';
import proto from '@temporalio/proto';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { directoryStore } from '../../activities/evidence/directory-store.ts';
import { createEvidenceWriter } from '../../activities/evidence/evidence-writer.ts';
import { SIGNALS } from '../../contracts/messages.ts';
import { configurationSchema } from '../../contracts/configuration.ts';
import { hostTaskQueue, SEARCH_ATTRIBUTES, TASK_QUEUE } from '../../contracts/search-attributes.ts';
import { examineTemporal } from '../../scripts/cli/doctor-temporal.ts';
import { examineUnkept } from '../../scripts/cli/doctor-unkept.ts';
import { resolveTemporalCli } from '../../scripts/embedded/temporal-cli.ts';
import { startTemporalServer, type TemporalServer } from '../../scripts/embedded/temporal-server.ts';
import { PATIENT } from '../support/patience.ts';
import { until } from '../support/toy-runs.ts';
import { sampleEvidence } from '../unit/report-fixture.ts';
import { connectClient } from '../../scripts/client-connection.ts';
import { hostName } from '../../workers/host.ts';
import { registerSearchAttributes } from '../../workers/search-attributes.ts';

let root: string;
let server: TemporalServer;
let connection: Connection;

beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), 'doctor-evidence-'));
  const cli = await resolveTemporalCli({ log: () => undefined });
  server = await startTemporalServer({ cliPath: cli.path, searchAttributes: {}, logFile: join(root, 'server.log') });
  connection = await connectClient({ address: server.address });
});
afterAll(async () => {
  await connection?.close();
  await server?.stop();
  await rm(root, { recursive: true, force: true });
});

/** A run that nobody works on: it is signalled, so that it has a history, and may be terminated. */
async function run(client: Client, signals: number, { isEnded = true, taskQueue = TASK_QUEUE } = {}): Promise<{ workflowId: string; runId: string }> {
  const workflowId = `dr-test/orders/${randomUUID()}`;
  const handle = await client.workflow.start('dr-test', { workflowId, taskQueue });
  for (let count = 0; count < signals; count += 1) await handle.signal(SIGNALS.pause);
  if (isEnded) await handle.terminate('test');
  return { workflowId, runId: handle.firstExecutionRunId };
}

it('a real server lists the runs that are over, and says how long it keeps them', async () => {
  const client = new Client({ connection });
  const lost = await run(client, 5);
  const kept = await run(client, 5);
  const unbegun = await run(client, 0);
  await run(client, 5, { isEnded: false });
  // No worker sees to one that was started there by mistake.
  await run(client, 5, { taskQueue: 'runbook' });
  const evidence = { directory: join(root, 'evidence'), copies: [] };
  await createEvidenceWriter({ store: directoryStore(evidence.directory) }).write(sampleEvidence(kept));
  const examine = (afterMs: number) => examineUnkept({ client, namespace: 'default' }, { evidence }, Date.now() + afterMs);
  // What a server lists lags behind what it does.
  await until(async () => (await client.workflow.count('ExecutionStatus = "Terminated"')).count === 4, 'the server lists four runs that are over');
  expect(await examine(0), 'workers see to them').toMatchObject([{ outcome: 'ok' }]);
  const told = ({ workflowId, runId }: { workflowId: string; runId: string }) => expect.objectContaining({ outcome: 'warning', detail: expect.stringMatching(new RegExp(`^the evidence of ${workflowId} \\(run ${runId}, terminated\\) is on none of this host's stores; the server still knows it for \\d+ (d|h) `)) as string });
  expect(await examine(61_000)).toEqual([told(lost), told(unbegun)]);
});

describe('what doctor says of the server', () => {
  /** Of one subject, or of all of Temporal. */
  const examine = async (name = '', namespace = 'default') => {
    const configuration = configurationSchema.parse({
      version: 1, drills: { directory: join(root, 'drills') }, evidence: { directory: join(root, 'evidence') },
      databases: { shop: { connection: {}, provider: { kind: 'archive', repository: join(root, 'backups'), walDirectory: join(root, 'wal') } } },
    });
    return (await examineTemporal({ address: server.address, namespace }, configuration)).filter((finding) => finding.about === 'temporal' && finding.name.startsWith(name));
  };

  it('a namespace that is not there is named, with the command that makes it', async () => {
    expect(await examine('', 'nosuch')).toEqual([
      { about: 'temporal', name: 'server', outcome: 'ok', detail: expect.stringMatching(new RegExp(`^version \\d.* answers at ${server.address}$`)) as string, todo: null },
      { about: 'temporal', name: 'namespace', outcome: 'problem', detail: `there is no namespace "nosuch" at ${server.address}`, todo: `name another with --namespace, TEMPORAL_NAMESPACE or a profile, or create it: temporal operator namespace create --namespace nosuch --address ${server.address}` },
    ]);
    expect(await examine('namespace')).toMatchObject([{ outcome: 'ok', detail: 'default is there' }]);
  });

  it('nobody polls, until somebody does: one who asks for workflows here is not yet one who drills on this host', async () => {
    const queues = async () => (await examine('task queue')).map(({ name, outcome, todo }) => ({ name, outcome, todo }));
    const host = hostTaskQueue(hostName());
    const nobodyHere = { name: `task queue ${host}`, outcome: 'warning', todo: 'to drill on this host, start a worker here with `runbook worker`' };
    expect(await queues()).toEqual([{ name: `task queue ${TASK_QUEUE}`, outcome: 'warning', todo: 'start a worker with `runbook worker`' }, nobodyHere]);
    const stopped = new AbortController();
    const { workflowService } = connection;
    const polling: Promise<unknown>[] = [];
    const poll = (ask: () => Promise<unknown>) => { polling.push(connection.withDeadline(Date.now() + PATIENT.timeout, () => connection.withAbortSignal(stopped.signal, ask)).catch(() => undefined)); };
    try {
      poll(() => workflowService.pollWorkflowTaskQueue({ namespace: 'default', taskQueue: { name: TASK_QUEUE }, identity: 'test' }));
      await expect.poll(queues).toEqual([{ name: `task queue ${TASK_QUEUE}`, outcome: 'ok', todo: null }, nobodyHere]);
      poll(() => workflowService.pollActivityTaskQueue({ namespace: 'default', taskQueue: { name: host }, identity: 'test' }));
      await expect.poll(async () => (await queues()).map(({ outcome }) => outcome)).toEqual(['ok', 'ok']);
    } finally {
      stopped.abort();
      await Promise.all(polling);
    }
  });

  it('search attributes that are not registered are named with the command that registers them, and those of another type', async () => {
    const [name] = Object.keys(SEARCH_ATTRIBUTES);
    const { operatorService } = connection;
    const [found] = await examine('search attributes');
    expect(found).toMatchObject({ outcome: 'warning', detail: `${Object.keys(SEARCH_ATTRIBUTES).join(', ')} are not registered; runs do without them` });
    for (const [attribute, type] of Object.entries(SEARCH_ATTRIBUTES)) expect(found?.todo).toContain(`--name ${attribute} --type ${type}`);
    await registerSearchAttributes(connection, 'default', () => undefined);
    await expect.poll(() => examine('search attributes')).toMatchObject([{ outcome: 'ok', detail: 'all are registered' }]);
    await operatorService.removeSearchAttributes({ namespace: 'default', searchAttributes: [name ?? ''] });
    await expect.poll(() => examine('search attributes')).toMatchObject([{ outcome: 'warning', detail: `${name} is not registered; runs do without it` }]);
    await operatorService.addSearchAttributes({ namespace: 'default', searchAttributes: { [name ?? '']: proto.temporal.api.enums.v1.IndexedValueType.INDEXED_VALUE_TYPE_INT } });
    await expect.poll(() => examine('search attributes')).toMatchObject([{ outcome: 'warning', detail: `${name} is registered with another type than ours; runs do without`, todo: expect.stringMatching(/^remove them/) as string }]);
  });
});
