import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ApplicationFailure } from '@temporalio/common';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { explainAws, isNamed, isPassing } from '../../activities/aws/failures.ts';
import { drillName, drillTags, isOfDrill } from '../../activities/rds-provider/drill-names.ts';
import { drillPassword } from '../../activities/rds-provider/drill-password.ts';
import { failureOfState } from '../../activities/rds-provider/failed-restore.ts';
import { instantOfId, nothingToRestore } from '../../activities/rds-provider/points.ts';
import { chooseStorage, describeHardware, storageProblem } from '../../activities/rds-provider/storage.ts';
import { rdsProviderSchema } from '../../contracts/rds.ts';

const drill = { owner: { workflowId: 'dr-test/shop/1', firstExecutionRunId: 'a' }, fence: 7, database: 'shop' };

describe('what a drill makes in RDS', () => {
  it('has a name that RDS takes, of this run and this fence', () => {
    expect(drillName(drill)).toMatch(/^runbooks-d-[0-9a-f]{8}-7$/);
    for (const other of [{ ...drill, fence: 8 }, { ...drill, owner: { ...drill.owner, firstExecutionRunId: 'b' } }]) expect(drillName(other)).not.toBe(drillName(drill));
    expect(drillName({ ...drill, fence: '<fence>' })).toBe(drillName(drill).replace(/7$/, '<fence>'));
  });

  it('is known by all of its tags, and by nothing less', () => {
    const tags = drillTags(drill, { restored: new Date(0), begunAt: new Date(0), expiresAt: new Date(1) });
    expect(isOfDrill(tags, drill)).toBe(true);
    expect([undefined, [], tags.slice(1), drillTags({ ...drill, fence: 8 }), drillTags({ ...drill, database: 'other' })].map((given) => isOfDrill(given, drill))).toEqual([false, false, false, false, false]);
  });
});

describe('the password of a copy', () => {
  let directory: string;
  beforeAll(async () => { directory = await mkdtemp(join(tmpdir(), 'key-')); });
  afterAll(() => rm(directory, { recursive: true }));

  it('is the same wherever the key is, another for each drill, and of characters that RDS takes', async () => {
    const key = join(directory, 'key');
    await writeFile(key, `${'k'.repeat(40)}\n`);
    const password = await drillPassword(key, drill);
    expect(password).toMatch(/^[\w-]{32}$/);
    expect(await drillPassword(key, drill)).toBe(password);
    expect(await drillPassword(key, { ...drill, fence: 8 })).not.toBe(password);
    await writeFile(key, 'j'.repeat(40));
    expect(await drillPassword(key, drill)).not.toBe(password);
  });

  it('is made of no key that can be guessed, or that is not there', async () => {
    const short = join(directory, 'short');
    await writeFile(short, 'hunter2');
    await expect(drillPassword(short, drill)).rejects.toMatchObject({ type: 'CONFIGURATION', message: expect.stringContaining('openssl rand') as string });
    await expect(drillPassword(join(directory, 'none'), drill)).rejects.toMatchObject({ type: 'CONFIGURATION', message: expect.stringContaining('(ENOENT)') as string });
  });
});

it('the id of a second says which one it is', () => {
  expect([instantOfId('time.20261130T002200Z')?.toISOString(), instantOfId('rds:shop-2026-11-30-02-00'), instantOfId('time.20261130')]).toEqual(['2026-11-30T00:22:00.000Z', undefined, undefined]);
});

describe('what AWS answers', () => {
  const error = (name: string, httpStatusCode?: number) => Object.assign(new Error('as it is'), { name, ...(httpStatusCode === undefined ? {} : { $metadata: { httpStatusCode } }) });

  it.each([
    [error('AccessDenied'), 'CONFIGURATION', true], [error('ExpiredTokenException'), 'CONFIGURATION', true], [error('Throttling', 400), 'UNAVAILABLE', false], [error('Odd', 503), 'UNAVAILABLE', false],
    [error('InstanceQuotaExceededFault', 400), 'PREFLIGHT', true], [error('DBSubnetGroupNotFoundFault', 404), 'CONFIGURATION', true], [error('InsufficientDBInstanceCapacityFault', 400), 'UNAVAILABLE', false],
    [Object.assign(new Error('connect'), { code: 'ECONNREFUSED' }), 'UNAVAILABLE', false],
    // Of SQS.
    [error('RequestThrottled', 403), 'UNAVAILABLE', false], [error('OverLimit', 403), 'UNAVAILABLE', false], [error('KmsThrottled', 400), 'UNAVAILABLE', false],
    // Busy with something else, which passes; and a network that is not as it should be, which does not.
    [error('InvalidDBInstanceState', 400), 'UNAVAILABLE', false], [error('InvalidDBSnapshotStateFault', 400), 'UNAVAILABLE', false], [error('InvalidDBParameterGroupState', 400), 'UNAVAILABLE', false],
    [error('InvalidVPCNetworkStateFault', 400), 'CONFIGURATION', true],
  ] as const)('%s is %s, final: %s', (given, type, nonRetryable) => {
    expect(explainAws(given, 'restoring')).toMatchObject({ type, nonRetryable, message: expect.stringMatching(/^restoring: AWS /) as string });
  });

  it('and nobody knows stays as it is, and so does what was given up', () => {
    for (const odd of [error('Odd', 400), Object.assign(error('AbortError'), { code: 'ABORT_ERR' })]) expect(explainAws(odd, 'restoring')).toBe(odd);
    const why = ApplicationFailure.retryable('another one is at work', 'UNAVAILABLE');
    expect(explainAws(Object.assign(error('AbortError'), { code: 'ABORT_ERR', cause: why }), 'restoring')).toBe(why);
  });

  it('is no end of what is asked for long where credentials, or what they may, can be put right meanwhile', () => {
    expect(explainAws(error('AccessDenied'), 'removing', { isForLong: true })).toMatchObject({ type: 'CONFIGURATION', nonRetryable: false });
    expect(explainAws(error('DBSubnetGroupNotFoundFault'), 'removing', { isForLong: true })).toMatchObject({ nonRetryable: true });
  });

  it('passes, or does not', () => {
    expect([error('Odd', 503), error('Throttling', 400), Object.assign(new Error('connect'), { code: 'ECONNREFUSED' }), error('AccessDenied', 403), error('Odd', 400), ApplicationFailure.nonRetryable('is over', 'UNAVAILABLE'), 'text'].map(isPassing)).toEqual([true, true, true, false, false, false, false]);
  });

  it('is told by its name, with or without Fault', () => {
    expect([isNamed(error('DBInstanceNotFoundFault'), 'DBInstanceNotFound'), isNamed(error('DBInstanceNotFound'), 'DBInstanceNotFound'), isNamed(error('Other'), 'DBInstanceNotFound'), isNamed('x', 'x')]).toEqual([true, true, false, false]);
  });
});

it.each([
  ['failed', 'RECOVERY_FAILED'], ['incompatible-restore', 'RECOVERY_FAILED'], ['restore-error', 'RECOVERY_FAILED'], ['storage-full', 'DISK_FULL'],
  ['incompatible-network', 'PREFLIGHT'], ['incompatible-parameters', 'PREFLIGHT'], ['incompatible-option-group', 'PREFLIGHT'], ['insufficient-capacity', 'PREFLIGHT'],
  ['inaccessible-encryption-credentials', 'PREFLIGHT'], ['inaccessible-encryption-credentials-recoverable', 'PREFLIGHT'], ['available', undefined], ['storage-optimization', undefined],
])('a copy that is %s is a failure of type %s', (status, type) => {
  expect(failureOfState(status)).toBe(type);
});

describe('where there is nothing to restore, people are told where it was looked for and what to do', () => {
  const provider = (over: object = {}) => rdsProviderSchema.parse({ kind: 'rds', instance: 'prod', access: { region: 'eu-central-1' }, repository: '/manifests', drill: { subnetGroup: 'drills', securityGroups: ['sg-1'], passwordKeyFile: '/key' }, ...over });
  const window = { earliest: new Date('2026-01-02T00:00:00Z'), latest: new Date('2026-01-03T00:00:00Z') };
  const snapshots = { retention: '35d' };
  const nowhere = 'there is no snapshot of prod in eu-central-1, and';
  const look = 'look whether provider.instance and provider.access name the right one; where they do, take one';

  it.each([
    ['without backups of RDS', {}, null, `${nowhere} RDS keeps no second of it (its backup retention is 0, or its first backup is not over); ${look} in RDS, or give the instance a backup retention`],
    ['without backups of RDS, where a runbook takes snapshots', { snapshots }, null, `${nowhere} RDS keeps no second of it (its backup retention is 0, or its first backup is not over); ${look} with: runbook start database-snapshot, or give the instance a backup retention`],
    ['of what was there before the first second', { snapshots }, window, `${nowhere} RDS keeps its seconds from 2026-01-02T00:00:00.000Z on; ${look} with: runbook start database-snapshot`],
    ['of snapshots', { latest: 'snapshot', snapshots }, window, `${nowhere} provider.latest asks for one; ${look} with: runbook start database-snapshot`],
  ])('%s', (_what, over, kept, said) => {
    expect(nothingToRestore(provider(over), kept)).toBe(said);
  });

  it('in another region, where snapshots have to be copied', () => {
    const drill = { subnetGroup: 'drills', securityGroups: ['sg-1'], passwordKeyFile: '/key', access: { region: 'eu-west-1' } };
    expect(nothingToRestore(provider({ drill }), null)).toBe('there is no snapshot of prod in eu-west-1, where drills are made; look whether provider.drill.access names the right region and account, and whether snapshots are copied there (provider.snapshots.copyTo) or shared with it');
  });
});

describe('the storage of a copy', () => {
  it.each([
    ["the source's", undefined, { StorageType: 'gp2' }, 20, { StorageType: 'gp2' }],
    ["the source's, with its IOPS", undefined, { StorageType: 'io1', Iops: 3000 }, 100, { StorageType: 'io1', Iops: 3000 }],
    ["the source's, with as many of its IOPS as RDS takes for what was smaller then", undefined, { StorageType: 'io1', Iops: 20_000 }, 150, { StorageType: 'io1', Iops: 7_500 }],
    ["the source's, with as many of its IOPS as RDS takes of io2", undefined, { StorageType: 'io2', Iops: 256_000 }, 200, { StorageType: 'io2', Iops: 200_000 }],
    ["the source's, with all IOPS that there are", undefined, { StorageType: 'io2', Iops: 256_000 }, 1_000, { StorageType: 'io2', Iops: 256_000 }],
    ['gp3, where RDS has none of the kind that is so small', undefined, { StorageType: 'io1', Iops: 3000 }, 99, { StorageType: 'gp3' }],
    ["the source's, without what RDS chooses for so small a one", undefined, { StorageType: 'gp3', Iops: 3000, StorageThroughput: 125 }, 399, { StorageType: 'gp3' }],
    ["the source's, with all that it has", undefined, { StorageType: 'gp3', Iops: 12_000, StorageThroughput: 500 }, 400, { StorageType: 'gp3', Iops: 12_000, StorageThroughput: 500 }],
    ['what is configured', { type: 'gp3', iops: 13_000, throughput: 600 }, { StorageType: 'io2', Iops: 20_000 }, 500, { StorageType: 'gp3', Iops: 13_000, StorageThroughput: 600 }],
    ['what RDS chooses, where it does not say what the source has', undefined, {}, 20, {}],
  ] as const)('is %s', (_what, configured, source, gib, chosen) => {
    expect(chooseStorage(configured, source, gib)).toEqual(chosen);
  });

  it.each([
    [{ type: 'io1', iops: 5_000 }, 100, undefined], [{ type: 'io1', iops: 5_001 }, 100, 'RDS takes at most 5000 IOPS for 100 GiB of io1, and not 5001'], [{ type: 'io2', iops: 100_000 }, 100, undefined],
    [{ type: 'io2', iops: 256_001 }, 1_000, 'RDS takes at most 256000 IOPS for 1000 GiB of io2, and not 256001'], [{ type: 'io2', iops: 1_000 }, 99, 'RDS has no io2 of less than 100 GiB, and what is restored has 99'],
    [{ type: 'gp3', iops: 12_000 }, 399, 'RDS takes neither IOPS nor throughput for gp3 of less than 400 GiB, and what is restored has 399'], [{ type: 'gp3', iops: 12_000 }, 400, undefined], [{ type: 'gp2' }, 20, undefined],
  ] as const)('configured as %j for %d GiB is judged before anything is made: %s', (storage, gib, problem) => {
    expect(storageProblem(storage, gib)).toBe(problem);
  });

  it('is said with what it was chosen for', () => {
    expect(describeHardware({ DBInstanceClass: 'db.t4g.large', AllocatedStorage: 500, StorageType: 'gp3', Iops: 12_000, StorageThroughput: 500 })).toBe('db.t4g.large, 500 GiB of gp3, 12000 IOPS, 500 MiB/s');
    expect(describeHardware({ DBInstanceClass: 'db.t4g.micro', AllocatedStorage: 20, StorageType: 'gp2' })).toBe('db.t4g.micro, 20 GiB of gp2');
  });

  it.each([[{ type: 'gp2' }, true], [{ type: 'gp3', iops: 12_000, throughput: 500 }, true], [{ type: 'io2' }, false], [{ type: 'gp2', iops: 3_000 }, false], [{ type: 'io1', iops: 3_000, throughput: 125 }, false], [{ type: 'ssd' }, false]])('can be configured as %j: %s', (storage, isTaken) => {
    const configured = { kind: 'rds', instance: 'prod', access: { region: 'eu-central-1' }, repository: '/manifests', drill: { subnetGroup: 'drills', securityGroups: ['sg-1'], passwordKeyFile: '/key', storage } };
    expect(rdsProviderSchema.safeParse(configured).success).toBe(isTaken);
  });
});
