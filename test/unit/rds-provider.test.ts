import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { explainAws, isNamed } from '../../activities/aws/failures.ts';
import { drillName, drillTags, isOfDrill } from '../../activities/rds-provider/drill-names.ts';
import { drillPassword } from '../../activities/rds-provider/drill-password.ts';
import { failureOfState } from '../../activities/rds-provider/failed-restore.ts';
import { instantOfId } from '../../activities/rds-provider/points.ts';

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
