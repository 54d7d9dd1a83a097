import { randomUUID } from 'node:crypto';
import { MockActivityEnvironment } from '@temporalio/testing';
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import type { BackupActivities, BackupPlaceCall, BackupRef } from '../../activities/backup/backup-activities.ts';
import { openBackupPlace } from '../../activities/backup/backup-place.ts';
import { createBackupActivities } from '../../activities/backup/create-backup-activities.ts';
import { applicationName } from '../../activities/kernel/names.ts';
import { configurationSchema } from '../../contracts/configuration.ts';
import { type ArchivedSource, startArchivedSource } from '../support/archived-source.ts';
import { CREATE_ENDLESS_TABLE } from '../support/slow-type.ts';

/** As long as the workflow gives such an activity, about. */
const DAY_MS = 86_400_000;

let source: ArchivedSource;
let activities: BackupActivities;
let call: BackupPlaceCall;

beforeAll(async () => {
  source = await startArchivedSource();
  const { port, superuser } = source.server;
  const configuration = configurationSchema.parse({ version: 1, databases: { shop: {
    connection: { host: '127.0.0.1', port, user: superuser }, provider: { kind: 'archive', repository: source.layout.root, walDirectory: source.layout.wal },
  } } });
  activities = createBackupActivities({ configuration, resolvePassword: () => Promise.resolve(undefined) });
});
afterAll(() => source.server.stop());
beforeEach(async () => {
  call = { database: 'shop', fence: 1, owner: { workflowId: `backup/shop/${randomUUID()}`, firstExecutionRunId: 'run' } };
  await openBackupPlace(source.layout.incoming, call);
});

/** An attempt that nobody cancels: its worker was stopped, or cut off, and comes back when it has a successor. */
function attempt(number: number, name: 'takeManifest' | 'takeBaseBackup') {
  const environment = new MockActivityEnvironment({ attempt: number, heartbeatTimeoutMs: 10_000, startToCloseTimeoutMs: DAY_MS });
  return { ended: environment.run((input: { backup: BackupRef }): Promise<unknown> => activities[name](input), { backup: { ...call, id: 'b1' } }).catch((error: unknown) => error), cancel: () => environment.cancel() };
}

/** Sessions of the run at the source, by their processes; those that wait for this. */
const sessions = (waitEvent = '%') => source.server.withClient('postgres', async (client) => (await client.query<{ pid: number }>(
  'SELECT pid FROM pg_stat_activity WHERE starts_with(application_name, $1) AND wait_event LIKE $2', [applicationName(call.owner), waitEvent])).rows.map(({ pid }) => pid));

/** Begins a second attempt while the first one keeps the source busy, and waits until it does so, too; which sessions of the first are there still. */
async function followed(name: 'takeManifest' | 'takeBaseBackup', waitEvent: string) {
  const first = attempt(1, name);
  await expect.poll(() => sessions(waitEvent)).toHaveLength(1);
  const before = await sessions();
  const second = attempt(2, name);
  await expect.poll(async () => (await sessions(waitEvent)).filter((pid) => !before.includes(pid))).toHaveLength(1);
  return { first, second, stillThere: (await sessions()).filter((pid) => before.includes(pid)) };
}

test('a second attempt at a manifest first ends what the first one reads: no snapshot and no lock of it is left', async () => {
  await source.server.withClient('postgres', (client) => client.query(CREATE_ENDLESS_TABLE));
  const { first, second, stillThere } = await followed('takeManifest', 'PgSleep');
  expect(stillThere).toEqual([]);
  expect(await first.ended).toBeInstanceOf(Error);
  second.cancel();
  await second.ended;
});

test('a second attempt at a base backup first ends the one that the first has open at the source', async () => {
  const [checkpointer] = await source.server.withClient('postgres', async (client) => (await client.query<{ pid: number }>(`SELECT pid FROM pg_stat_activity WHERE backend_type = 'checkpointer'`)).rows);
  process.kill(checkpointer!.pid, 'SIGSTOP');
  try {
    const { first, second, stillThere } = await followed('takeBaseBackup', 'Checkpoint%');
    expect(stillThere).toEqual([]);
    expect(await first.ended).toBeInstanceOf(Error);
    process.kill(checkpointer!.pid, 'SIGCONT');
    expect(await second.ended).toMatchObject({ part: 'attempt-2' });
  } finally {
    process.kill(checkpointer!.pid, 'SIGCONT');
  }
});
