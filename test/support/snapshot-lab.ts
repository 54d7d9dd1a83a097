import { CreateDBSnapshotCommand, DescribeDBSnapshotsCommand, type DBSnapshot, type RDSClient, type Tag } from '@aws-sdk/client-rds';
import { MockActivityEnvironment } from '@temporalio/testing';
import { createSnapshotActivities } from '../../activities/database-snapshot/create-snapshot-activities.ts';
import type { DatabaseSnapshotActivities, SnapshotRef, VerifiedSnapshot } from '../../activities/database-snapshot/snapshot-activities.ts';
import { databaseSchema, type Configuration } from '../../contracts/configuration.ts';
import { startAwsLab, type AwsLab } from './aws-lab.ts';
import { labElsewhere, OTHER_REGION, OTHER_ROLE } from './aws-lab-elsewhere.ts';
import { createSource, MASTER, rdsClient, untilSnapshot } from './aws-lab-rds.ts';
import { reachLab } from './reach-lab.ts';

/** Another account, in the region of the source. */
export const OTHER_PLACE = 'eu-central-1, account 210987654321';

/** RDS in three places, and what a worker's activities do there; runs are only made believe. */
export interface SnapshotLab {
  lab: AwsLab;
  /** Where the source, `prod`, is; where copies are, of two kinds. */
  here: RDSClient;
  region: RDSClient;
  account: RDSClient;
  /** From now on its history tells every run that this was answered to it when it verified a snapshot. */
  runKnows: (verified: VerifiedSnapshot) => void;
  /** Runs an activity as a worker does. */
  run: <Name extends keyof DatabaseSnapshotActivities>(name: Name, input: Parameters<DatabaseSnapshotActivities[Name]>[0], settings?: object) => ReturnType<DatabaseSnapshotActivities[Name]>;
}

/** A lab with a source, and what takes snapshots of it and copies them to another region and another account. */
export async function startSnapshotLab(): Promise<SnapshotLab> {
  const lab = await startAwsLab({ log: console.log });
  reachLab(lab);
  const here = rdsClient(lab);
  await createSource(here, 'prod', { BackupRetentionPeriod: 0 });
  const databaseOf = (instance: string, settings: object) => databaseSchema.parse({
    connection: { host: '127.0.0.1', user: MASTER.name },
    provider: {
      kind: 'rds', instance, access: { region: lab.region }, repository: '/var/empty', lookEvery: '100ms', drill: { subnetGroup: 'none', securityGroups: ['sg-0'], passwordKeyFile: '/var/empty/key' },
      snapshots: { retention: '35d', keepAtLeast: 1, copyTo: [{ region: OTHER_REGION }, { region: lab.region, role: { arn: OTHER_ROLE } }], ...settings },
    },
  });
  const configured = (settings: object) => ({
    databases: {
      shop: databaseOf('prod', settings), other: databaseOf('prod', settings), locked: databaseOf('locked', settings),
      files: databaseSchema.parse({ connection: {}, provider: { kind: 'archive', repository: '/var/empty', walDirectory: '/var/empty' } }),
    },
  }) as unknown as Configuration;
  const known: VerifiedSnapshot[] = [];
  return {
    lab, here, runKnows: (verified) => { known.push(verified); },
    region: rdsClient(await labElsewhere(lab, { region: OTHER_REGION })), account: rdsClient(await labElsewhere(lab, { role: OTHER_ROLE })),
    run: (async (name, input, settings = {}) => {
      const activity = createSnapshotActivities({ configuration: configured(settings), earlierSteps: () => Promise.resolve([]), resultsOf: () => Promise.resolve(known) })[name] as (given: unknown) => Promise<unknown>;
      return new MockActivityEnvironment({ startToCloseTimeoutMs: 2 * 86_400_000 }).run<[unknown], unknown, typeof activity>(activity, input);
    }) as SnapshotLab['run'],
  };
}

let runs = 0;
/** A run of its own for each test. */
export function snapshotRef(over: Partial<SnapshotRef> = {}): SnapshotRef {
  runs += 1;
  return { database: 'shop', stem: `runbooks-20261130t00${String(runs).padStart(4, '0')}z`, fence: runs, owner: { workflowId: `database-snapshot/shop/${runs}`, firstExecutionRunId: 'a' }, expiresAt: new Date(Date.now() + 86_400_000).toISOString(), ...over };
}

/** Those that people or we have taken, and not those that RDS takes by itself. */
export async function snapshotsOf(rds: RDSClient): Promise<DBSnapshot[]> {
  return (await rds.send(new DescribeDBSnapshotsCommand({ SnapshotType: 'manual' }))).DBSnapshots ?? [];
}

/** Identifiers of {@link snapshotsOf}, in the order in which RDS names them. */
export const namesOf = async (rds: RDSClient) => (await snapshotsOf(rds)).map(({ DBSnapshotIdentifier }) => DBSnapshotIdentifier ?? '');

/** A snapshot that somebody else takes. */
export async function strangers(rds: RDSClient, id: string, Tags: Tag[] = []): Promise<void> {
  await rds.send(new CreateDBSnapshotCommand({ DBInstanceIdentifier: 'prod', DBSnapshotIdentifier: id, Tags }));
  await untilSnapshot(rds, id);
}
