import { ApplicationFailure } from '@temporalio/common';
import { whoAsks } from '../../activities/aws/ask-permission.ts';
import { explainAws } from '../../activities/aws/failures.ts';
import { kmsClient } from '../../activities/aws/kms-client.ts';
import { rdsClient } from '../../activities/aws/rds-client.ts';
import { copyProblem } from '../../activities/database-snapshot/copy-problem.ts';
import { rdsStores } from '../../activities/database-snapshot/rds-store.ts';
import { snapshotsOfSource } from '../../activities/database-snapshot/retention.ts';
import { lookAtSnapshotPermissions, type SnapshotPermissionQuery } from '../../activities/database-snapshot/snapshot-permissions.ts';
import type { SnapshotSource, SnapshotStore } from '../../activities/database-snapshot/snapshot-store.ts';
import { checkKey } from '../../activities/rds-provider/encryption-key.ts';
import { findInstance } from '../../activities/rds-provider/instance.ts';
import type { AwsAccess, RdsProvider, SnapshotSettings } from '../../contracts/rds.ts';
import { formatSeconds } from '../../contracts/quantities.ts';
import { messageOf, type Findings } from './doctor-finding.ts';

/** A target of which snapshots are taken, as it is configured. */
export interface Snapshots { database: string; provider: RdsProvider; settings: SnapshotSettings }

/** The prefix of names that the published policy has. */
const PUBLISHED_PREFIX = 'runbooks';

/** One place of snapshots: the source's own, or one that copies go to. */
interface Place { access: AwsAccess; store: Pick<SnapshotStore, 'list' | 'where'>; copy?: { kmsKey: string | undefined } }

/** What the runbook `database-snapshot` needs of AWS, where the source is and wherever copies go: who is asked as, permissions, keys, and what there is of snapshots. Changes nothing. */
export async function examineSnapshots(snapshots: Snapshots, findings: Findings): Promise<void> {
  const { provider, settings } = snapshots;
  const stores = await rdsStores(provider, settings);
  const source = await stores.source().catch((error: unknown) => {
    // What else keeps it from being found is said of the place.
    if (error instanceof ApplicationFailure) say(findings, 'snapshots', error.message);
    return undefined;
  });
  const keyId = source?.isEncrypted ? await keyOfSource(provider) : undefined;
  const problem = source && copyProblem(source, provider, settings);
  if (problem !== undefined) say(findings, 'snapshots', problem);
  const places: Place[] = [{ access: provider.access, store: stores.own }, ...settings.copyTo.map(({ kmsKey, ...access }, index) => ({ access, store: stores.copies[index] ?? stores.own, copy: { kmsKey } }))];
  for (const place of places) {
    await examinePlace(place, { ...snapshots, source, keyId }, findings).catch((error: unknown) => findings.problem(`snapshots in ${place.store.where}`, messageOf(explainAws(error, 'asking AWS')), 'see what is said of permissions, or look whether AWS can be reached from here'));
  }
}

/** A problem in a sentence that ends with what to do, after a semicolon. */
function say(findings: Findings, name: string, sentence: string): void {
  const [detail = '', todo = 'correct provider.snapshots'] = sentence.split('; ');
  findings.problem(name, detail, todo);
}

interface Seen extends Snapshots { source: SnapshotSource | undefined; /** With which the source is encrypted. */ keyId: string | undefined }

async function keyOfSource(provider: RdsProvider): Promise<string | undefined> {
  return (await findInstance(await rdsClient(provider.access), provider.instance).catch(() => undefined))?.KmsKeyId;
}

async function examinePlace(place: Place, seen: Seen, findings: Findings): Promise<void> {
  const { access, store } = place;
  const name = `snapshots in ${store.where}`;
  let caller: string;
  try {
    caller = await whoAsks(access);
    findings.ok(name, `asked as ${caller}`);
  } catch (error) {
    const todo = access.role ? `let these credentials assume ${access.role.arn}, by its trust policy and by sts:AssumeRole among what they may do` : 'give this user credentials as the AWS SDK finds them (AWS_PROFILE, a role)';
    return findings.problem(name, messageOf(explainAws(error, access.role ? `assuming ${access.role.arn}` : 'asking AWS who this is')), todo);
  }
  const account = caller.split(':')[4] ?? '';
  if (place.copy) await examineKeys(place, { ...seen, account }, findings);
  await examinePermissions(place, { ...seen, caller, account }, findings);
  if (seen.source) await examineKept(store, { ...seen, source: seen.source }, findings);
}

/** Of the copy: whether it is there and can be used. Of the source: whether another account can have what is encrypted with it. */
async function examineKeys({ access, store, copy }: Place, { keyId, provider, account }: Seen & { account: string }, findings: Findings): Promise<void> {
  const name = `key in ${store.where}`;
  if (copy?.kmsKey !== undefined) {
    try {
      findings.ok(name, (await checkKey(await kmsClient(access), copy.kmsKey, 'the copy')).detail);
    } catch (error) {
      say(findings, name, messageOf(explainAws(error, 'looking at the key')));
    }
  }
  const [region = '', owner = account] = keyId?.split(':').slice(3, 5) ?? [];
  if (keyId === undefined || owner === account) return;
  const { sdk, client } = await kmsClient({ ...provider.access, region });
  const key = await client.send(new sdk.DescribeKeyCommand({ KeyId: keyId })).catch(() => undefined);
  if (key?.KeyMetadata?.KeyManager === 'AWS') findings.problem(name, `${provider.instance} is encrypted with AWS's own key of its account, with which RDS shares nothing with account ${account}`, 'copy within its account only, or restore the source under a key of your own');
}

async function examinePermissions({ access, store, copy }: Place, { database, settings, keyId, caller, account, provider }: Seen & { caller: string; account: string }, findings: Findings): Promise<void> {
  const shares = settings.copyTo.some(({ role }) => role !== undefined && role.arn.split(':')[4] !== account);
  const keys = [
    ...(copy?.kmsKey === undefined ? [] : [{ id: copy.kmsKey, region: access.region, isOtherAccounts: false }]),
    ...(keyId === undefined ? [] : [{ id: keyId, region: keyId.split(':')[3] ?? provider.access.region, isOtherAccounts: keyId.split(':')[4] !== account }]),
  ];
  const place: SnapshotPermissionQuery['place'] = copy ? { kind: 'copy', keys } : { kind: 'own', shares };
  const permissions = await lookAtSnapshotPermissions({ access, caller, database, prefix: settings.prefix, place });
  const name = `permissions in ${store.where}`;
  const permitted = permissions.filter(({ verdict }) => verdict === 'permitted');
  const add = `add it to what the role may do, as docs/reference/iam/database-snapshot.json has it${settings.prefix === PUBLISHED_PREFIX ? '' : `, with names that begin with ${settings.prefix}- in place of ${PUBLISHED_PREFIX}-`}`;
  if (permitted.length > 0) findings.ok(name, `${permitted.length} of ${permissions.length} that snapshots need are there`);
  for (const { action, verdict, because } of permissions) {
    if (verdict === 'missing') findings.problem(name, `${action} is missing: ${because}`, add);
    if (verdict === 'doubtful') findings.warning(name, `${action} may be missing: ${because}`, `${add}, or to the policy of the key`);
    if (verdict === 'unknown') findings.skipped(name, `${action} was not looked at: ${because}`);
  }
}

/** A place is behind where its newest is older than so many times what usually lies between two. */
const BEHIND = 2;

async function examineKept({ list, where }: Place['store'], { database, source, settings }: Seen & { source: SnapshotSource }, findings: Findings): Promise<void> {
  const name = `snapshots in ${where}`;
  const nowMs = Date.now();
  const { finished, abandoned, underWay } = snapshotsOfSource(await list(), { database, source, settings, nowMs });
  const takenMs = finished.map(({ takenAt }) => takenAt?.getTime() ?? 0);
  const [newest] = finished;
  if (!newest) findings.warning(name, `there is no finished one of ${source.identifier} yet`, `take one: runbook start database-snapshot --database ${database}`);
  else {
    const ageMs = Math.max(nowMs - (takenMs[0] ?? 0), 0);
    const detail = `the newest of ${finished.length} finished, ${newest.id}, is ${formatSeconds(ageMs / 1_000)} old`;
    const apartMs = medianMs(takenMs.slice(1).map((ms, index) => (takenMs[index] ?? 0) - ms));
    if (apartMs !== undefined && ageMs > BEHIND * apartMs) findings.warning(name, `${detail}, and they were taken every ${formatSeconds(apartMs / 1_000)}`, 'look whether its schedule still runs, and how its last runs ended: runbook runs');
    else findings.ok(name, detail);
  }
  if (abandoned.length > 0) findings.warning(name, `${abandoned.map(({ id }) => id).join(', ')}: begun and never finished`, 'nothing, if snapshots go on being taken: the next run removes what no run waits for any more');
  if (underWay.length > 0) findings.ok(name, `${underWay.map(({ id }) => id).join(', ')}: not finished, and a run may be at work on it`);
}

/** Of what lies between two; undefined of less than two such, which say nothing of a schedule. */
function medianMs(gaps: readonly number[]): number | undefined {
  return gaps.length < 2 ? undefined : gaps.toSorted((a, b) => a - b)[Math.floor(gaps.length / 2)];
}
