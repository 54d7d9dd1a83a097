import { DisableKeyCommand, EnableKeyCommand, KMSClient } from '@aws-sdk/client-kms';
import { CopyDBSnapshotCommand, CreateDBSnapshotCommand, ModifyDBSnapshotAttributeCommand, type RDSClient, type Tag } from '@aws-sdk/client-rds';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { databaseSchema } from '../../contracts/configuration.ts';
import type { RdsProvider } from '../../contracts/rds.ts';
import { Findings } from '../../scripts/cli/doctor-finding.ts';
import { examineSnapshots } from '../../scripts/cli/doctor-snapshots.ts';
import { startAwsLab, type AwsLab } from '../support/aws-lab.ts';
import { OTHER_ACCOUNT, OTHER_REGION, OTHER_ROLE } from '../support/aws-lab-elsewhere.ts';
import { createSource, MASTER, rdsClient, untilInstance, untilSnapshot } from '../support/aws-lab-rds.ts';
import { publishedPolicy, without } from '../support/aws-lab-user.ts';
import { reachLab } from '../support/reach-lab.ts';
import { namesOf, OTHER_PLACE } from '../support/snapshot-lab.ts';
import { copiesWith, createKey, createSnapshotTakers, type SnapshotTakers } from '../support/snapshot-policies.ts';

/** What `runbook doctor` says of snapshots and their copies, asked by a user and a role whose policies the lab enforces. */
let lab: AwsLab;
let here: RDSClient;
let region: RDSClient;
let account: RDSClient;
let takers: SnapshotTakers;
const HERE = 'eu-central-1';
const [published, forDoctor] = await Promise.all([publishedPolicy('database-snapshot'), publishedPolicy('rds-doctor')]);
const ACTIONS = published.Statement.flatMap(({ Action }) => Action);

beforeAll(async () => {
  lab = await startAwsLab({ log: console.log });
  const key = await createKey(lab, [OTHER_ACCOUNT]);
  takers = await createSnapshotTakers(lab, key);
  [here, region, account] = [rdsClient(lab), rdsClient(lab, OTHER_REGION), rdsClient(takers.there)];
  await createSource(here, 'prod', { BackupRetentionPeriod: 0, StorageEncrypted: true, KmsKeyId: key });
  await takers.permitWorker(published, forDoctor);
  await takers.permitRole(published, forDoctor);
  reachLab({ endpoint: lab.endpoint, credentials: takers.worker.credentials });
  await lab.control.enforcePolicies(true);
});
afterAll(() => lab.stop());

const tagsOf = (days: number, over: Record<string, string | undefined> = {}): Tag[] => Object.entries({ run: '0123abcd', fence: '1', target: 'shop', begun: daysAgo(days), expires: daysAgo(days - 35), finished: daysAgo(days), ...over })
  .flatMap(([key, Value]) => (Value === undefined ? [] : [{ Key: `durable-runbooks:${key}`, Value }]));
const daysAgo = (days: number) => new Date(Date.now() - days * 86_400_000).toISOString();

/** One of ours, taken so many days ago, and its copies. */
async function taken(id: string, days: number, over: Record<string, string | undefined> = {}): Promise<void> {
  const Tags = tagsOf(days, over);
  const arn = `arn:aws:rds:${HERE}:${lab.account}:snapshot:${id}`;
  await here.send(new CreateDBSnapshotCommand({ DBInstanceIdentifier: 'prod', DBSnapshotIdentifier: id, Tags }));
  await untilSnapshot(here, id);
  await untilInstance(here, 'prod');
  await lab.control.backDate(id, new Date(daysAgo(days)));
  await here.send(new ModifyDBSnapshotAttributeCommand({ DBSnapshotIdentifier: id, AttributeName: 'restore', ValuesToAdd: [OTHER_ACCOUNT] }));
  for (const [rds, KmsKeyId] of [[region, takers.keys.region], [account, takers.keys.account]] as const) {
    await rds.send(new CopyDBSnapshotCommand({ SourceDBSnapshotIdentifier: arn, TargetDBSnapshotIdentifier: id, KmsKeyId, Tags }));
    await untilSnapshot(rds, id);
  }
}

async function examine({ database = 'shop', instance = 'prod', snapshots = {} }: { database?: string; instance?: string; snapshots?: object } = {}): Promise<Findings['all']> {
  const { provider } = databaseSchema.parse({
    connection: { host: '127.0.0.1', user: MASTER.name },
    provider: {
      kind: 'rds', instance, access: { region: HERE }, repository: '/var/empty', drill: { subnetGroup: 'none', securityGroups: ['sg-0'], passwordKeyFile: '/var/empty/key' },
      snapshots: { retention: '35d', copyTo: copiesWith(takers.keys, HERE), ...snapshots },
    },
  }) as { provider: RdsProvider };
  const findings = new Findings(database);
  await examineSnapshots({ database, provider, settings: provider.snapshots! }, findings);
  return findings.all;
}
const but = (all: Findings['all'], outcome: string) => all.filter((one) => one.outcome !== outcome).map((one) => `${one.name} ${one.outcome}: ${one.detail}`);
const of = (all: Findings['all'], outcome: string) => all.filter((one) => one.outcome === outcome).map(({ name, detail }) => `${name}: ${detail}`);

describe('runbook doctor, of snapshots', () => {
  it('says that there is none yet, in each place, and that all else is well', async () => {
    const all = await examine();
    expect(but(all, 'ok')).toEqual([HERE, OTHER_REGION, OTHER_PLACE].map((where) => `snapshots in ${where} warning: there is no finished one of prod yet`));
    expect(all.find(({ outcome }) => outcome === 'warning')?.todo).toBe('take one: runbook start database-snapshot --database shop');
  });

  it('finds all well where they are taken with what is documented, and changes nothing', async () => {
    await taken('runbooks-first', 2);
    await taken('runbooks-second', 1);
    await taken('runbooks-third', 0);
    await lab.control.clearCalls();
    const all = await examine();
    expect(but(all, 'ok')).toEqual([]);
    expect(of(all, 'ok').filter((said) => said.startsWith('snapshots in')).map((said) => said.replace(/, is .* old$/, ''))).toEqual([
      `snapshots in ${HERE}: asked as ${takers.worker.arn}`, `snapshots in ${HERE}: the newest of 3 finished, runbooks-third`,
      `snapshots in ${OTHER_REGION}: asked as ${takers.worker.arn}`, `snapshots in ${OTHER_REGION}: the newest of 3 finished, runbooks-third`,
      expect.stringMatching(/^snapshots in eu-central-1, account 210987654321: asked as arn:aws:sts::210987654321:assumed-role\/drills\//), `snapshots in ${OTHER_PLACE}: the newest of 3 finished, runbooks-third`,
    ]);
    const calls = await lab.control.calls();
    const changing = calls.filter(({ action, status }) => !/^(Describe|List|Get|Simulate|AssumeRole)/.test(action) && (status === null || status < 400));
    expect(changing).toEqual([]);
    for (const rds of [here, region, account]) expect((await namesOf(rds)).toSorted()).toEqual(['runbooks-first', 'runbooks-second', 'runbooks-third']);
    // All that it asks, and beside what snapshots may no more than its own policy has.
    const asked = new Set(calls.map(({ service, action }) => `${service}:${action}`));
    expect([...asked].filter((one) => !ACTIONS.includes(one) && !/^sts:(GetCallerIdentity|AssumeRole)$/.test(one))).toEqual(['iam:SimulatePrincipalPolicy']);
  });

  it.each(ACTIONS)('names %s where it alone is missing', async (action) => {
    await takers.permitWorker(without(published, action), forDoctor);
    await takers.permitRole(without(published, action), forDoctor);
    const all = await examine();
    await takers.permitWorker(published, forDoctor);
    await takers.permitRole(published, forDoctor);
    const named = new Set([...of(all, 'problem'), ...of(all, 'warning')].filter((said) => said.startsWith('permissions in')).map((said) => /: (\w+:\w+)/.exec(said)?.[1]));
    expect([...named].map((one) => one?.replace('ReEncryptFrom', 'ReEncrypt*').replace('GenerateDataKey', 'GenerateDataKey*'))).toEqual([action]);
  });

  it('names a role that cannot be assumed, and looks at the other places all the same', async () => {
    await takers.worker.permit(published, forDoctor);
    const all = await examine({ snapshots: { copyTo: [{ region: OTHER_REGION, role: { arn: OTHER_ROLE }, kmsKey: 'alias/none' }, { region: OTHER_REGION, kmsKey: takers.keys.region }] } });
    await takers.permitWorker(published, forDoctor);
    const problems = all.filter(({ outcome }) => outcome === 'problem');
    expect(problems.map(({ name, detail, todo }) => [name, detail, todo])).toEqual([[
      `snapshots in ${OTHER_REGION}, account ${OTHER_ACCOUNT}`, expect.stringMatching(/^assuming arn:aws:iam::210987654321:role\/drills: AWS answered AccessDenied/),
      `let these credentials assume ${OTHER_ROLE}, by its trust policy and by sts:AssumeRole among what they may do`,
    ]]);
    expect(of(all, 'ok').join('\n')).toMatch(/snapshots in eu-west-1: the newest of 3 finished/);
  });

  it('says that names do not begin as the policy has it', async () => {
    const problems = (await examine({ snapshots: { prefix: 'nightly', copyTo: [] } })).filter(({ outcome }) => outcome === 'problem');
    expect(problems.map(({ detail }) => detail.split(' ')[0])).toEqual(['rds:AddTagsToResource', 'rds:CreateDBSnapshot', 'rds:DeleteDBSnapshot']);
    expect(problems[0]?.todo).toBe('add it to what the role may do, as docs/reference/iam/database-snapshot.json has it, with names that begin with nightly- in place of runbooks-');
  });

  it('says what it did not look at where IAM may not be asked', async () => {
    await takers.permitWorker(published);
    const all = await examine({ snapshots: { copyTo: [] } });
    await takers.permitWorker(published, forDoctor);
    expect(but(all, 'ok')).toEqual([`permissions in ${HERE} skipped: rds:DeleteDBSnapshot was not looked at: AWS refuses it for what has no tags of a snapshot of ours, as it should; for what has some, IAM may not be asked (iam:SimulatePrincipalPolicy)`]);
  });

  it('says which are left unfinished, and that none was taken for longer than usual', async () => {
    await taken('runbooks-left', 1, { finished: undefined });
    await taken('runbooks-under-way', 0, { finished: undefined });
    for (const [id, days] of [['runbooks-first', 22], ['runbooks-second', 21], ['runbooks-third', 20]] as const) await lab.control.backDate(id, new Date(daysAgo(days)));
    const all = await examine({ snapshots: { copyTo: [] } });
    expect(of(all, 'warning')).toEqual([
      `snapshots in ${HERE}: the newest of 3 finished, runbooks-third, is 20 d 0 h old, and they were taken every 1 d 0 h`, `snapshots in ${HERE}: runbooks-left: begun and never finished`,
    ]);
    expect(of(all, 'ok')).toContain(`snapshots in ${HERE}: runbooks-under-way: not finished, and a run may be at work on it`);
  });

  it('names a key that cannot be used, and a configuration that cannot be', async () => {
    const kms = new KMSClient({ endpoint: lab.endpoint, region: OTHER_REGION, credentials: lab.credentials });
    const KeyId = takers.keys.region.split('/').at(-1);
    await kms.send(new DisableKeyCommand({ KeyId }));
    const disabled = await examine({ snapshots: { copyTo: [{ region: OTHER_REGION, kmsKey: takers.keys.region }] } });
    await kms.send(new EnableKeyCommand({ KeyId }));
    expect(of(disabled, 'problem')).toEqual([`key in ${OTHER_REGION}: the key ${takers.keys.region}, with which the copy is encrypted, cannot be used: it is Disabled`]);
    expect(of(await examine({ snapshots: { copyTo: [{ region: OTHER_REGION }] } }), 'problem')).toEqual(['snapshots: prod is encrypted, and its key is of no use elsewhere']);
    expect(of(await examine({ instance: 'gone', snapshots: { copyTo: [] } }), 'problem')).toEqual(['snapshots: there is no RDS instance "gone" in this account and region']);
  });
});
