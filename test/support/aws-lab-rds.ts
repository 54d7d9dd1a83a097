import { CreateDBInstanceCommand, type CreateDBInstanceCommandInput, type DBInstance, type DBSnapshot, DescribeDBInstancesCommand, DescribeDBSnapshotsCommand, RDSClient } from '@aws-sdk/client-rds';
import { setTimeout as sleep } from 'node:timers/promises';
import { Client } from 'pg';
import { startAwsLab, type AwsLab } from './aws-lab.ts';
import { PATIENT } from './patience.ts';

/** Of every source in tests. */
export const MASTER = { name: 'master', password: 'fit-for-tests-only' };

/** A look costs both processes ten milliseconds of the processor. */
const POLL_MS = 75;

/** A client of the lab's RDS; it tries nothing again, so that one call in the log is one call of a test. */
export function rdsClient(lab: AwsLab, region = lab.region, maxAttempts = 1): RDSClient {
  return new RDSClient({ endpoint: lab.endpoint, region, credentials: lab.credentials, maxAttempts });
}

/** Makes an instance with a database `shop` and waits until it is available. */
export async function createSource(rds: RDSClient, identifier: string, over: Partial<CreateDBInstanceCommandInput> = {}): Promise<DBInstance> {
  await rds.send(new CreateDBInstanceCommand({
    DBInstanceIdentifier: identifier, Engine: 'postgres', DBInstanceClass: 'db.t4g.micro', AllocatedStorage: 20, DBName: 'shop', MasterUsername: MASTER.name,
    MasterUserPassword: MASTER.password, ...over,
  }));
  return untilInstance(rds, identifier);
}

/** A lab with an instance `source` of which RDS keeps no backups. */
export async function startLabWithSource(): Promise<{ lab: AwsLab; rds: RDSClient; source: DBInstance }> {
  const lab = await startAwsLab();
  const rds = rdsClient(lab);
  return { lab, rds, source: await createSource(rds, 'source', { BackupRetentionPeriod: 0 }) };
}

/** Polls until an instance has a status; answers it, with the statuses it went through in `passed`. */
export async function untilInstance(rds: RDSClient, identifier: string, wanted = 'available', passed: string[] = []): Promise<DBInstance> {
  for (const deadline = Date.now() + PATIENT.timeout; Date.now() < deadline; await sleep(POLL_MS)) {
    const { DBInstances: [found] = [] } = await rds.send(new DescribeDBInstancesCommand({ DBInstanceIdentifier: identifier }));
    if (passed.at(-1) !== found?.DBInstanceStatus) passed.push(String(found?.DBInstanceStatus));
    if (found?.DBInstanceStatus === wanted) return found;
    if (found?.DBInstanceStatus === 'failed') break;
  }
  throw new Error(`${identifier} did not become ${wanted}: ${passed.join(', ')}`);
}

/** Polls until what ModifyDBInstance asked for is done. */
export async function untilModified(rds: RDSClient, identifier: string): Promise<DBInstance> {
  for (const deadline = Date.now() + PATIENT.timeout; Date.now() < deadline; await sleep(POLL_MS)) {
    const { DBInstances: [found] = [] } = await rds.send(new DescribeDBInstancesCommand({ DBInstanceIdentifier: identifier }));
    // Just after the answer it still says that it is available, with something pending.
    if (found?.DBInstanceStatus === 'available' && Object.keys(found.PendingModifiedValues ?? {}).length === 0) return found;
  }
  throw new Error(`${identifier} was not modified`);
}

/** Polls until an instance has gone. */
export async function untilGone(rds: RDSClient, identifier: string): Promise<void> {
  for (const deadline = Date.now() + PATIENT.timeout; Date.now() < deadline; await sleep(POLL_MS)) {
    const gone = await rds.send(new DescribeDBInstancesCommand({ DBInstanceIdentifier: identifier })).then(() => false, (error: Error) => error.name === 'DBInstanceNotFoundFault');
    if (gone) return;
  }
  throw new Error(`${identifier} is still there`);
}

/** Polls until a snapshot is available; answers it, with the progress that it showed in `progress`. */
export async function untilSnapshot(rds: RDSClient, identifier: string, progress: number[] = []): Promise<DBSnapshot> {
  for (const deadline = Date.now() + PATIENT.timeout; Date.now() < deadline; await sleep(POLL_MS)) {
    const { DBSnapshots: [found] = [] } = await rds.send(new DescribeDBSnapshotsCommand({ DBSnapshotIdentifier: identifier }));
    progress.push(found?.PercentProgress ?? -1);
    if (found?.Status === 'available') return found;
  }
  throw new Error(`the snapshot ${identifier} did not become available`);
}

/** Opens a connection to an instance as its master user, runs `work` with it and closes it whatever happens. */
export async function withMaster<T>(instance: DBInstance, work: (client: Client) => Promise<T>, { database = 'shop', password = MASTER.password, user = MASTER.name } = {}): Promise<T> {
  const client = new Client({ host: instance.Endpoint!.Address!, port: instance.Endpoint!.Port!, user, password, database });
  client.on('error', () => undefined);
  await client.connect();
  try { return await work(client); } finally { await client.end(); }
}

/** One value from an instance. */
export async function ask(instance: DBInstance, query: string, options: Parameters<typeof withMaster>[2] = {}): Promise<unknown> {
  return withMaster(instance, async (client) => Object.values((await client.query<Record<string, unknown>>(query)).rows[0] ?? {})[0], options);
}

/** The error code that a call was refused with; it fails when the call succeeds. */
export async function refusal(call: Promise<unknown>): Promise<string> {
  return call.then(() => { throw new Error('it was accepted'); }, (error: Error & { Code?: string; Error?: { Code?: string } }) => error.Error?.Code ?? error.Code ?? error.name);
}

/** Archives until the last second that RDS can restore has all that is committed now. */
export async function archiveUntilNow({ lab, rds }: { lab: AwsLab; rds: RDSClient }, identifier: string): Promise<void> {
  const now = Date.now();
  for (let latest = 0; latest < now; await sleep(200)) {
    await lab.control.archiveNow(identifier);
    latest = (await rds.send(new DescribeDBInstancesCommand({ DBInstanceIdentifier: identifier }))).DBInstances?.[0]?.LatestRestorableTime?.getTime() ?? 0;
  }
}
