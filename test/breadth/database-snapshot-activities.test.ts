import { readFile } from 'node:fs/promises';
import { AddTagsToResourceCommand, CopyDBSnapshotCommand, CreateDBSnapshotCommand, DescribeDBInstancesCommand, DescribeDBSnapshotAttributesCommand, RemoveTagsFromResourceCommand, type RDSClient } from '@aws-sdk/client-rds';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { snapshotName } from '../../activities/database-snapshot/snapshot-tags.ts';
import type { SnapshotRef } from '../../activities/database-snapshot/snapshot-activities.ts';
import { labElsewhere, OTHER_ACCOUNT, OTHER_REGION } from '../support/aws-lab-elsewhere.ts';
import { createSource, untilInstance, untilSnapshot } from '../support/aws-lab-rds.ts';
import { namesOf, OTHER_PLACE, snapshotRef, snapshotsOf, startSnapshotLab, strangers, type SnapshotLab } from '../support/snapshot-lab.ts';

/** What taking snapshots does to RDS, whatever becomes of a call, and what it never does. */
const GIB = 2 ** 30;
let at: SnapshotLab;
beforeAll(async () => { at = await startSnapshotLab(); });
afterAll(() => at.lab.stop());
beforeEach(async () => {
  await at.lab.control.clearFaults();
  await at.lab.control.clearCalls();
  for (const rds of [at.here, at.region, at.account]) await untilNothingIsMade(rds);
});

async function untilNothingIsMade(rds: RDSClient): Promise<void> {
  while ((await snapshotsOf(rds)).some(({ Status }) => Status === 'creating')) await new Promise((resolve) => { setTimeout(resolve, 50); });
  if (rds === at.here) await untilInstance(rds, 'prod');
}

const finish = (snapshot: SnapshotRef) => at.run('finishSnapshot', { snapshot, where: at.lab.region, sizeBytes: 20 * GIB });
const finishedOne = async (over: Partial<SnapshotRef> = {}) => {
  const snapshot = snapshotRef(over);
  await at.run('takeSnapshot', { snapshot });
  await finish(snapshot);
  return snapshot;
};
const close = (snapshot: SnapshotRef) => at.run('closeSnapshotPlace', { ...snapshot });
const left = async (snapshot: SnapshotRef) => (await at.run('proveSnapshotPlaceAbsent', { ...snapshot })).found;
const answered = async (action: string) => (await at.lab.control.calls()).filter((call) => call.action === action).map(({ status, errorCode }) => errorCode ?? status);

describe('a snapshot', () => {
  it('is one, though its taking is called twice, at once and again, and has tags from the first moment on', async () => {
    const snapshot = snapshotRef();
    await at.run('openSnapshotPlace', { ...snapshot });
    const [first, second] = await Promise.all([at.run('takeSnapshot', { snapshot }), at.run('takeSnapshot', { snapshot })]);
    expect([first, await at.run('takeSnapshot', { snapshot })]).toEqual([second, second]);
    expect(await left(snapshot)).toEqual([`snapshot ${snapshotName(snapshot)} in ${at.lab.region} is available`]);
    const taken = await untilSnapshot(at.here, snapshotName(snapshot));
    expect(taken.TagList?.map(({ Key }) => Key).toSorted()).toEqual(['begun', 'expires', 'fence', 'run', 'target'].map((key) => `durable-runbooks:${key}`));
    expect((await answered('CreateDBSnapshot')).filter((status) => status === 200)).toHaveLength(1);
    for (const _ of [1, 2]) expect(await finish(snapshot)).toMatchObject({ isFinished: true, taken: { id: first.id, sizeBytes: 20 * GIB, where: at.lab.region } });
    // It is finished: it stays.
    expect(await close(snapshot)).toEqual({ destroyed: [] });
    expect(await left(snapshot)).toEqual([]);
    expect(await namesOf(at.here)).toContain(first.id);
  });

  it.each(['CreateDBSnapshot', 'AddTagsToResource', 'CopyDBSnapshot', 'DeleteDBSnapshot', 'ModifyDBSnapshotAttribute'])('is made, copied and removed once though the reply to %s was lost', async (action) => {
    const snapshot = snapshotRef();
    await at.lab.control.fault({ kind: 'lostReply', action, calls: 1 });
    const of = await at.run('takeSnapshot', { snapshot });
    await finish(snapshot);
    await at.run('copySnapshot', { snapshot, to: OTHER_PLACE });
    expect(await close(snapshot)).toEqual({ destroyed: [`snapshot ${of.id} in ${OTHER_PLACE}`] });
    expect([await left(snapshot), (await at.lab.control.faults()).map(({ struck }) => struck)]).toEqual([[], [1]]);
    expect([(await namesOf(at.here)).filter((id) => id === of.id), await namesOf(at.account)]).toEqual([[of.id], []]);
    expect(await sharedWith(of.id)).toEqual([]);
  });

  it('waits until the instance can be snapshotted, and out throttling, errors and reads that are old', async () => {
    await at.lab.control.durations({ backUp: 6_000 });
    await at.here.send(new CreateDBSnapshotCommand({ DBInstanceIdentifier: 'prod', DBSnapshotIdentifier: 'of-others' }));
    await at.lab.control.fault({ kind: 'throttle', action: 'DescribeDBSnapshots', calls: 2 });
    await at.lab.control.fault({ kind: 'serverError', action: 'CreateDBSnapshot', calls: 1 });
    await at.lab.control.fault({ kind: 'staleReads', seconds: 1, forSeconds: 3 });
    const snapshot = snapshotRef();
    await at.run('takeSnapshot', { snapshot });
    await at.lab.control.durations({ backUp: 200 });
    expect(await answered('CreateDBSnapshot')).toEqual(expect.arrayContaining(['InvalidDBInstanceState', 200]));
    await at.lab.control.clearFaults();
    await close(snapshot);
    expect(await namesOf(at.here)).toContain('of-others');
  });

  it('is removed though it is still being made; and what a stalled attempt makes after that is found', async () => {
    const snapshot = snapshotRef();
    await at.lab.control.durations({ snapshot: 1_500 });
    const taking = at.run('takeSnapshot', { snapshot }).catch((error: unknown) => error);
    while (!(await namesOf(at.here)).includes(snapshotName(snapshot)));
    expect(await close(snapshot)).toEqual({ destroyed: [`snapshot ${snapshotName(snapshot)} in ${at.lab.region}`] });
    await at.lab.control.durations({ snapshot: 300 });
    expect([await left(snapshot), await close(snapshot)]).toEqual([[], { destroyed: [] }]);
    await taking;
    await at.run('takeSnapshot', { snapshot });
    expect(await left(snapshot)).toHaveLength(1);
    await close(snapshot);
  });

  it('does not stay where it is not what was asked for', async () => {
    const snapshot = snapshotRef();
    const { id } = await at.run('takeSnapshot', { snapshot });
    const found = await at.run('finishSnapshot', { snapshot, where: at.lab.region, sizeBytes: 40 * GIB });
    expect(found).toMatchObject({ isFinished: false });
    expect(found.checks.filter(({ outcome }) => outcome === 'failed').map(({ name }) => name)).toEqual([`size in ${at.lab.region}`]);
    expect(await close(snapshot)).toEqual({ destroyed: [`snapshot ${id} in ${at.lab.region}`] });
  });
});

describe('a read that is an old one', () => {
  /** As long ago as the snapshot was there and not finished yet. */
  const stale = (over: object = {}) => at.lab.control.fault({ kind: 'staleReads', action: 'DescribeDBSnapshots', seconds: 1, ...over });
  /** Of now, and of a second ago. */
  const unfinishedForLong = async () => {
    const snapshot = snapshotRef();
    const of = await at.run('takeSnapshot', { snapshot });
    await new Promise((resolve) => { setTimeout(resolve, 1_500); });
    return { snapshot, of };
  };

  it('does not make a whole snapshot one that is not', async () => {
    await at.lab.control.durations({ snapshot: 2_500 });
    const snapshot = snapshotRef();
    await at.run('takeSnapshot', { snapshot });
    await at.lab.control.durations({ snapshot: 300 });
    await stale({ calls: 2 });
    expect(await finish(snapshot)).toMatchObject({ isFinished: true });
    expect((await at.lab.control.faults()).map(({ struck }) => struck)).toEqual([2]);
  });

  it.each([['one list', { calls: 3 }], ['all lists, while the tags themselves are fresh', { forSeconds: 30 }]])('removes no finished snapshot, and finds none that is left: %s', async (_, over) => {
    const { snapshot, of } = await unfinishedForLong();
    expect(await finish(snapshot)).toMatchObject({ isFinished: true });
    await stale(over);
    expect(await close(snapshot)).toEqual({ destroyed: [] });
    await at.lab.control.clearFaults();
    expect(await namesOf(at.here)).toContain(of.id);
    await stale(over);
    expect(await left(snapshot)).toEqual([]);
  });

  it('removes no snapshot that its run knows to be finished, however long all reads are old', async () => {
    const { snapshot, of } = await unfinishedForLong();
    const verified = await finish(snapshot);
    await stale({ action: '*', forSeconds: 30 });
    at.runKnows(verified);
    expect([await close(snapshot), await left(snapshot)]).toEqual([{ destroyed: [] }, []]);
    await at.lab.control.clearFaults();
    expect(await namesOf(at.here)).toContain(of.id);
  });

  it('lets retention remove none that was finished meanwhile', async () => {
    const { snapshot, of } = await unfinishedForLong();
    await at.here.send(new AddTagsToResourceCommand({ ResourceName: of.arn, Tags: [{ Key: 'durable-runbooks:begun', Value: new Date(Date.now() - 2 * 86_400_000).toISOString() }] }));
    await new Promise((resolve) => { setTimeout(resolve, 1_500); });
    const { remove: chosen } = await at.run('chooseExpiredSnapshots', { database: 'shop' });
    expect(chosen.map(({ id }) => id)).toEqual([of.id]);
    await finish(snapshot);
    await stale({ forSeconds: 30 });
    expect(await at.run('removeExpiredSnapshots', { database: 'shop', chosen })).toEqual({ removed: [], spared: [`${of.id} in ${at.lab.region}`] });
  });

  it('lets what a dead run did not finish be removed all the same', async () => {
    const { snapshot, of } = await unfinishedForLong();
    await stale({ action: '*', calls: 3 });
    expect(await close(snapshot)).toEqual({ destroyed: [`snapshot ${of.id} in ${at.lab.region}`] });
    expect(await left(snapshot)).toEqual([]);
  });
});

async function sharedWith(id: string): Promise<string[]> {
  const { DBSnapshotAttributesResult: result } = await at.here.send(new DescribeDBSnapshotAttributesCommand({ DBSnapshotIdentifier: id }));
  return result?.DBSnapshotAttributes?.find(({ AttributeName }) => AttributeName === 'restore')?.AttributeValues ?? [];
}

describe('a copy', () => {
  it.each([['another region', OTHER_REGION, () => at.region], ['another account, which may read it only while it copies', OTHER_PLACE, () => at.account]] as const)('lies in %s, of the same moment and size, and goes with its own retention', async (_, to, client) => {
    const snapshot = snapshotRef();
    const of = await at.run('takeSnapshot', { snapshot });
    await finish(snapshot);
    const [copy, again] = [await at.run('copySnapshot', { snapshot, to }), await at.run('copySnapshot', { snapshot, to })];
    expect([again, copy.takenAt, copy.sizeBytes, copy.where]).toEqual([copy, of.takenAt, of.sizeBytes, to]);
    expect(await sharedWith(of.id)).toEqual(to === OTHER_PLACE ? [OTHER_ACCOUNT] : []);
    expect((await at.run('finishSnapshot', { snapshot, where: to, sizeBytes: 20 * GIB, of: { ...of, takenAt: '2020-01-01T00:00:00.000Z' } })).isFinished).toBe(false);
    expect(await at.run('finishSnapshot', { snapshot, where: to, sizeBytes: 20 * GIB, of })).toMatchObject({ isFinished: true });
    expect(await sharedWith(of.id)).toEqual([]);
    expect(await close(snapshot)).toEqual({ destroyed: [] });
    expect(await namesOf(client())).toEqual([of.id]);
  });
});

describe('retention', () => {
  const day = 86_400_000;
  const past = (days: number) => new Date(Date.now() - days * day);
  /** A finished one that was taken so many days ago. */
  const aged = async (days: number, over: Partial<SnapshotRef> = {}) => {
    const id = snapshotName(await finishedOne({ expiresAt: new Date(Date.now() - (days - 35) * day).toISOString(), ...over }));
    await at.lab.control.backDate(id, past(days));
    return id;
  };
  const choose = (settings?: object) => at.run('chooseExpiredSnapshots', { database: 'shop' }, settings);

  it('takes what carries our tags, is past its promise and past the configuration, and leaves the newest and all that is not ours', async () => {
    const before = new Set((await choose()).remove.map(({ id }) => id));
    expect(before.size).toBe(0);
    const [old, older, promised] = [await aged(40), await aged(50), await aged(60, { expiresAt: new Date(Date.now() + day).toISOString() })];
    // As much ours as can be, but for one thing each.
    const [unmarked, ofAnother] = [await aged(45), await aged(46, { database: 'other' })];
    const arn = (id: string) => `arn:aws:rds:${at.lab.region}:${at.lab.account}:snapshot:${id}`;
    await at.here.send(new RemoveTagsFromResourceCommand({ ResourceName: arn(unmarked), TagKeys: ['durable-runbooks:run'] }));
    await strangers(at.here, 'by-hand');
    await at.lab.control.backDate('by-hand', past(400));
    const abandoned = snapshotRef();
    await at.run('takeSnapshot', { snapshot: abandoned });
    await at.here.send(new AddTagsToResourceCommand({ ResourceName: arn(snapshotName(abandoned)), Tags: [{ Key: 'durable-runbooks:begun', Value: past(2).toISOString() }] }));
    const underWay = snapshotRef();
    await at.run('takeSnapshot', { snapshot: underWay });
    // A person's own, with all tags of what it was copied from.
    await at.here.send(new CopyDBSnapshotCommand({ SourceDBSnapshotIdentifier: older, TargetDBSnapshotIdentifier: 'legal-hold', CopyTags: true }));
    await untilSnapshot(at.here, 'legal-hold');
    await at.lab.control.backDate('legal-hold', past(50));

    const chosen = await choose();
    expect(chosen.remove.map(({ id }) => id).toSorted()).toEqual([old, older, snapshotName(abandoned)].toSorted());
    expect(chosen.notOurs).toBeGreaterThanOrEqual(3);
    expect((await choose({ retention: '45d' })).remove.map(({ id }) => id)).not.toContain(old);
    expect((await choose({ keepAtLeast: 1_000 })).remove.map(({ id }) => id)).toEqual([snapshotName(abandoned)]);
    // Somebody takes the tags off one in between, and the reply to the first removal is lost: it is called again.
    await at.here.send(new RemoveTagsFromResourceCommand({ ResourceName: arn(older), TagKeys: ['durable-runbooks:target'] }));
    await at.lab.control.fault({ kind: 'lostReply', action: 'DeleteDBSnapshot', calls: 1 });
    const remove = () => at.run('removeExpiredSnapshots', { database: 'shop', chosen: chosen.remove });
    const here = (id: string) => `${id} in ${at.lab.region}`;
    for (const _ of [1, 2]) {
      const { removed, spared } = await remove();
      expect([removed.toSorted(), spared]).toEqual([[here(old), here(snapshotName(abandoned))].toSorted(), [here(older)]]);
    }
    const names = await namesOf(at.here);
    expect(names).toEqual(expect.arrayContaining([older, promised, unmarked, ofAnother, 'by-hand', snapshotName(underWay)]));
    expect(names).not.toContain(old);
    await close(underWay);
  });

  it('never takes the last ones, however old they are, nor what was not chosen', async () => {
    const ids = (await namesOf(at.here)).filter((id) => id.startsWith('runbooks-'));
    for (const id of ids) await at.lab.control.backDate(id, past(1_000));
    const newest = await aged(900, { expiresAt: past(800).toISOString() });
    expect((await choose()).remove.map(({ id }) => id)).not.toContain(newest);
    const made = { id: newest, where: at.lab.region, why: 'somebody says so' };
    expect(await at.run('removeExpiredSnapshots', { database: 'shop', chosen: [made, { ...made, id: 'by-hand' }] })).toEqual({ removed: [], spared: [newest, 'by-hand'].map((id) => `${id} in ${at.lab.region}`) });
  });
});

describe('what is not ours', () => {
  it('is never touched where it has the name of a snapshot of ours, here or where copies go', async () => {
    const snapshot = snapshotRef();
    const id = snapshotName(snapshot);
    await strangers(at.here, id, [{ Key: 'durable-runbooks:run', Value: 'somebody' }]);
    const refusal = { type: 'FENCED', message: expect.stringContaining("is not this run's") as string };
    for (const name of ['openSnapshotPlace', 'closeSnapshotPlace'] as const) await expect(at.run(name, { ...snapshot })).rejects.toMatchObject(refusal);
    await expect(at.run('takeSnapshot', { snapshot })).rejects.toMatchObject(refusal);
    await expect(finish(snapshot)).rejects.toMatchObject(refusal);
    await expect(at.run('copySnapshot', { snapshot, to: OTHER_REGION })).rejects.toMatchObject(refusal);
    expect(await left(snapshot)).toEqual([`snapshot ${id} in ${at.lab.region} is available`]);
    expect((await at.lab.control.calls()).filter(({ action, identifiers }) => !/^(Describe|CreateDBSnapshot)/.test(action) && JSON.stringify(identifiers).includes(id))).toEqual([]);
  });

  it('is not taken for a snapshot of the source by the name of its instance alone', async () => {
    const elsewhere = await labElsewhere(at.lab, { region: OTHER_REGION });
    await createSource(at.region, 'prod', { BackupRetentionPeriod: 0 });
    await strangers(at.region, 'runbooks-of-a-namesake-0123abcd-1', ['run', 'fence', 'target', 'expires', 'finished'].map((key) => ({ Key: `durable-runbooks:${key}`, Value: { run: '0123abcd', fence: '1', target: 'shop' }[key] ?? '2020-01-01T00:00:00.000Z' })));
    await at.lab.control.backDate('runbooks-of-a-namesake-0123abcd-1', new Date('2020-01-01'), { region: elsewhere.region });
    expect((await at.run('chooseExpiredSnapshots', { database: 'shop' })).remove.map(({ id }) => id)).not.toContain('runbooks-of-a-namesake-0123abcd-1');
    expect((await at.region.send(new DescribeDBInstancesCommand({}))).DBInstances).toHaveLength(1);
  });
});

describe('a configuration that cannot be', () => {
  const plan = (database: string, settings?: object) => at.run('planSnapshot', { database, owner: snapshotRef().owner, startedAtMs: Date.UTC(2026, 10, 30, 3, 15) }, settings);
  it('is said in a sentence before anything is made', async () => {
    expect(await plan('shop')).toMatchObject({ name: expect.stringMatching(/^runbooks-20261130t031500z-[0-9a-f]{8}-<fence>$/) as string, copies: [OTHER_REGION, OTHER_PLACE], sizeBytes: 20 * GIB });
    await expect(plan('files')).rejects.toMatchObject({ type: 'CONFIGURATION', message: expect.stringContaining('runbook start backup') as string });
    await expect(plan('shop', { copyTo: [{ region: at.lab.region }] })).rejects.toMatchObject({ type: 'CONFIGURATION', message: 'provider.snapshots.copyTo[0] is where prod itself is; name another region or account' });
    await expect(plan('shop', { copyTo: [{ region: OTHER_REGION }, { region: OTHER_REGION }] })).rejects.toThrow(/same region and account/);
    await createSource(at.here, 'locked', { StorageEncrypted: true, BackupRetentionPeriod: 0 });
    await expect(plan('locked', { copyTo: [{ region: OTHER_REGION, kmsKey: 'alias/there' }, { region: 'eu-west-2' }] })).rejects.toMatchObject({ type: 'CONFIGURATION', message: 'locked is encrypted, and its key is of no use elsewhere; name a key of eu-west-2 in provider.snapshots.copyTo[1].kmsKey' });
    expect(await plan('locked', { copyTo: [] })).toMatchObject({ instance: 'locked', copies: [] });
  });
});

it('what is asked of RDS is what docs/reference/iam/database-snapshot.json allows, all of it; what removes or shares may be done to our snapshots only', async () => {
  const calls = async () => (await at.lab.control.calls()).filter(({ service }) => service === 'rds');
  await at.lab.control.clearCalls();
  const snapshot = await finishedOne();
  await at.run('planSnapshot', { database: 'shop', owner: snapshot.owner, startedAtMs: 0 });
  await at.run('openSnapshotPlace', { ...snapshot });
  const of = await at.run('takeSnapshot', { snapshot });
  for (const to of [OTHER_REGION, OTHER_PLACE]) {
    await at.run('copySnapshot', { snapshot, to });
    await at.run('finishSnapshot', { snapshot, where: to, sizeBytes: 20 * GIB, of });
  }
  await at.run('closeSnapshotPlace', { ...snapshot });
  await at.run('proveSnapshotPlaceAbsent', { ...snapshot });
  const { remove: chosen } = await at.run('chooseExpiredSnapshots', { database: 'shop' }, { keepAtLeast: 1 });
  await at.run('removeExpiredSnapshots', { database: 'shop', chosen });
  const dropped = snapshotRef();
  await at.run('takeSnapshot', { snapshot: dropped });
  await at.run('closeSnapshotPlace', { ...dropped });

  const { Statement } = JSON.parse(await readFile(new URL('../../docs/reference/iam/database-snapshot.json', import.meta.url), 'utf8')) as { Statement: { Action: string[]; Resource: string | string[]; Condition?: Record<string, Record<string, string>> }[] };
  const asked = await calls();
  // Keys are used by RDS, in the name of who copies: database-snapshot-permitted.test.ts.
  expect([...new Set(asked.map(({ action }) => `rds:${action}`))].toSorted()).toEqual(Statement.flatMap(({ Action }) => Action).filter((action) => action.startsWith('rds:')).toSorted());
  const ours = Statement.filter(({ Action }) => Action.some((action) => /^rds:(Delete|Modify|Add)/.test(action)));
  expect(ours.map(({ Resource, Condition }) => [Resource, JSON.stringify(Condition)])).toEqual(['Request', 'Resource'].map((kind) => ['arn:aws:rds:*:*:snapshot:runbooks-*', `{"StringLike":{"aws:${kind}Tag/durable-runbooks:run":"?*"}}`]));
  // No call that is allowed for our names only names anything else.
  const named = asked.filter(({ action }) => /^(Delete|Modify|Add)/.test(action)).flatMap(({ identifiers }) => Object.values(identifiers).flat());
  expect(named.filter((name) => name !== 'restore' && !name.replace(/^arn:aws:rds:[^:]+:\d+:snapshot:/, '').startsWith('runbooks-'))).toEqual([]);
});
