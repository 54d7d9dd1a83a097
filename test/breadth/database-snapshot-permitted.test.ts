import { AddTagsToResourceCommand, CreateDBSnapshotCommand, DeleteDBInstanceCommand, DeleteDBSnapshotCommand, DescribeDBInstancesCommand, ModifyDBInstanceCommand, ModifyDBSnapshotAttributeCommand, type RDSClient } from '@aws-sdk/client-rds';
import { execFile } from 'node:child_process';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Finding } from '../../scripts/cli/doctor-finding.ts';
import { OTHER_ACCOUNT, OTHER_REGION } from '../support/aws-lab-elsewhere.ts';
import { rdsClient, untilInstance, untilSnapshot } from '../support/aws-lab-rds.ts';
import { publishedPolicy, without } from '../support/aws-lab-user.ts';
import { drillEnd } from '../support/drill-run.ts';
import { startRdsEnvironment, type RdsEnvironment } from '../support/rds-environment.ts';
import { namesOf, OTHER_PLACE, snapshotsOf } from '../support/snapshot-lab.ts';
import { copiesWith, createKey, createSnapshotTakers, type SnapshotTakers } from '../support/snapshot-policies.ts';

/** `database-snapshot` of an encrypted source, with what docs/reference/iam/database-snapshot.json permits and nothing else, here and where copies go. */
let environment: RdsEnvironment;
let takers: SnapshotTakers;
const KMS = (await publishedPolicy('database-snapshot')).Statement.flatMap(({ Action }) => Action).filter((action) => action.startsWith('kms:'));
let keyOfSource: string;
const snapshots: Record<string, unknown> = { retention: '1s', keepAtLeast: 1 };

beforeAll(async () => {
  environment = await startRdsEnvironment({
    snapshots,
    sourceSettings: async (lab) => {
      keyOfSource = await createKey(lab, [OTHER_ACCOUNT]);
      takers = await createSnapshotTakers(lab, keyOfSource);
      snapshots.copyTo = copiesWith(takers.keys, lab.region);
      return { StorageEncrypted: true, KmsKeyId: keyOfSource };
    },
    prepare: async (lab) => {
      await lab.control.enforcePolicies(true);
      return takers.worker.credentials;
    },
  });
});
afterAll(() => environment.stop());

const places = (): RDSClient[] => [environment.rds, rdsClient(environment.lab, OTHER_REGION), rdsClient(takers.there)];
/** What AWS refused since the log was cleared. */
const refusals = async () => (await environment.lab.control.calls()).filter(({ status, errorCode }) => status === 403 || errorCode?.startsWith('KMS') === true).map(({ action, errorCode }) => `${action} ${errorCode}`);

describe('database-snapshot with the documented policy', () => {
  it('takes one of an encrypted source, copies it into another region and another account, and removes what is past its retention', async () => {
    for (const _ of [1, 2]) {
      await environment.lab.control.clearCalls();
      const { evidence, failure } = await environment.run('database-snapshot');
      expect([failure, await refusals()]).toEqual([undefined, []]);
      expect(evidence).toMatchObject({ outcome: 'succeeded', teardown: { outcome: 'done', provenAbsent: true, destroyed: [] } });
    }
    const kept = await Promise.all(places().map(snapshotsOf));
    expect(kept.map((all) => all.map(({ Encrypted, KmsKeyId }) => [Encrypted, KmsKeyId]))).toEqual([keyOfSource, takers.keys.region, takers.keys.account].map((key) => [[true, key]]));
  });

  it('is what runbook doctor looks for, in each place, as an operator calls it', async () => {
    const forDoctor = await publishedPolicy('rds-doctor');
    await takers.permitWorker(takers.published, forDoctor);
    await takers.permitRole(takers.published, forDoctor);
    const run = promisify(execFile)(process.execPath, ['dist/scripts/cli/main.js', 'doctor', '--json', '--config', environment.configurationFile, '--address', environment.address], { env: { ...process.env, ...environment.environment } });
    const stdout = await run.then(({ stdout: text }) => text, (error: { stdout: string }) => error.stdout);
    const findings = (JSON.parse(stdout) as { findings: Finding[] }).findings.filter(({ name }) => / in eu-/.test(name));
    expect([...new Set(findings.map(({ name, outcome }) => `${name} ${outcome}`))]).toEqual([['eu-central-1'], [OTHER_REGION, 'key'], [OTHER_PLACE, 'key']].flatMap(([where, key]) => [`snapshots in ${where} ok`, ...(key ? [`key in ${where} ok`] : []), `permissions in ${where} ok`]));
    await takers.permitWorker(takers.published);
    await takers.permitRole(takers.published);
  });

  it('has what is not finished removed, when the run is aborted while its snapshot is made', async () => {
    await environment.lab.control.durations({ snapshot: 3_000 });
    await environment.lab.control.clearCalls();
    const before = await namesOf(environment.rds);
    const handle = await environment.client.workflow.start('database-snapshot', { workflowId: 'database-snapshot/shop/aborted', taskQueue: 'runbooks', args: [{}] });
    while ((await namesOf(environment.rds)).length === before.length) await sleep(50);
    await handle.signal('abort', { by: 'anna' });
    const { evidence } = await drillEnd(environment, handle);
    await environment.lab.control.durations({ snapshot: 300 });
    expect(evidence).toMatchObject({ outcome: 'aborted', teardown: { outcome: 'done', provenAbsent: true, destroyed: [expect.stringMatching(/^snapshot runbooks-.* in eu-central-1$/)] } });
    expect([await refusals(), await namesOf(environment.rds)]).toEqual([[], before]);
  });

  it.each(KMS)('needs %s where the key of the source is another account\'s', async (action) => {
    await takers.permitRole(without(takers.published, action));
    const { failure } = await environment.run('database-snapshot');
    await takers.permitRole(takers.published);
    expect(failure).toMatch(/KMSKeyNotAccessible/);
  });
});

describe('the documented policy of snapshots', () => {
  const refused = async (call: Promise<unknown>) => call.then(() => 'done', ({ name }: Error) => name);

  it('lets neither the source nor what has no name of ours be tagged, changed, shared or removed, whatever tags it has', async () => {
    const worker = rdsClient({ ...environment.lab, credentials: takers.worker.credentials });
    const Tags = [{ Key: 'durable-runbooks:run', Value: '0123abcd' }, { Key: 'durable-runbooks:expires', Value: '2020-01-01T00:00:00.000Z' }];
    await environment.rds.send(new CreateDBSnapshotCommand({ DBInstanceIdentifier: 'shop-prod', DBSnapshotIdentifier: 'by-hand' }));
    await untilSnapshot(environment.rds, 'by-hand');
    await untilInstance(environment.rds, 'shop-prod');
    const arns = ['db:shop-prod', 'snapshot:by-hand'].map((name) => `arn:aws:rds:${environment.lab.region}:${environment.lab.account}:${name}`);
    const takeOver = () => Promise.all([
      ...arns.map((ResourceName) => worker.send(new AddTagsToResourceCommand({ ResourceName, Tags }))),
      worker.send(new DeleteDBSnapshotCommand({ DBSnapshotIdentifier: 'by-hand' })),
      worker.send(new ModifyDBSnapshotAttributeCommand({ DBSnapshotIdentifier: 'by-hand', AttributeName: 'restore', ValuesToAdd: [OTHER_ACCOUNT] })),
      worker.send(new CreateDBSnapshotCommand({ DBInstanceIdentifier: 'shop-prod', DBSnapshotIdentifier: 'not-ours', Tags })),
      worker.send(new CreateDBSnapshotCommand({ DBInstanceIdentifier: 'shop-prod', DBSnapshotIdentifier: 'runbooks-without-tags' })),
      worker.send(new ModifyDBInstanceCommand({ DBInstanceIdentifier: 'shop-prod', DeletionProtection: false })),
      worker.send(new DeleteDBInstanceCommand({ DBInstanceIdentifier: 'shop-prod', SkipFinalSnapshot: true })),
    ].map(refused));
    const all = Array.from({ length: 8 }, () => 'AccessDenied');
    expect(await takeOver()).toEqual(all);
    for (const ResourceName of arns) await environment.rds.send(new AddTagsToResourceCommand({ ResourceName, Tags }));
    expect(await takeOver()).toEqual(all);
    expect(await namesOf(environment.rds)).toContain('by-hand');
    expect((await environment.rds.send(new DescribeDBInstancesCommand({}))).DBInstances?.map(({ DBInstanceStatus }) => DBInstanceStatus)).toEqual(['available']);
  });
});
