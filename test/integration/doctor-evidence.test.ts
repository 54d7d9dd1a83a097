import { randomUUID } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Client, type Connection } from '@temporalio/client';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { directoryStore } from '../../activities/evidence/directory-store.ts';
import { createEvidenceWriter } from '../../activities/evidence/evidence-writer.ts';
import { SIGNALS } from '../../contracts/messages.ts';
import { TASK_QUEUE } from '../../contracts/search-attributes.ts';
import { examineUnkept } from '../../scripts/cli/doctor-unkept.ts';
import { resolveTemporalCli } from '../../scripts/embedded/temporal-cli.ts';
import { startTemporalServer, type TemporalServer } from '../../scripts/embedded/temporal-server.ts';
import { until } from '../support/toy-runs.ts';
import { sampleEvidence } from '../unit/report-fixture.ts';
import { connectClient } from '../../scripts/client-connection.ts';

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
