import { CreateDBSnapshotCommand } from '@aws-sdk/client-rds';
import type { WorkflowHandleWithFirstExecutionRunId } from '@temporalio/client';
import { randomBytes } from 'node:crypto';
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { DatabaseSnapshotResult } from '../../contracts/database-snapshot.ts';
import { evidenceSchema, type Evidence } from '../../contracts/evidence.ts';
import { OTHER_REGION } from '../support/aws-lab-elsewhere.ts';
import { rdsClient, untilSnapshot } from '../support/aws-lab-rds.ts';
import { awaitGuardian } from '../support/await-guardian.ts';
import { startRdsEnvironment, type RdsEnvironment } from '../support/rds-environment.ts';
import { namesOf, snapshotsOf } from '../support/snapshot-lab.ts';

/** The runbook `database-snapshot`, whole: what it leaves, however it ends. */
let environment: RdsEnvironment;
let there: ReturnType<typeof rdsClient>;
beforeAll(async () => {
  environment = await startRdsEnvironment({ snapshots: { retention: '1s', keepAtLeast: 1, copyTo: [{ region: OTHER_REGION }] } });
  there = rdsClient(environment.lab, OTHER_REGION);
  await environment.rds.send(new CreateDBSnapshotCommand({ DBInstanceIdentifier: 'shop-prod', DBSnapshotIdentifier: 'by-hand' }));
  await untilSnapshot(environment.rds, 'by-hand');
});
afterAll(() => environment.stop());

const start = () => environment.client.workflow.start('database-snapshot', { workflowId: `database-snapshot/shop/${randomBytes(4).toString('hex')}`, taskQueue: 'runbooks', args: [{ requester: 'anna' }] });
/** A run whose snapshot is being made; that takes long enough to do something to it. */
async function underWay(place = environment.rds): Promise<WorkflowHandleWithFirstExecutionRunId> {
  await environment.lab.control.durations({ snapshot: 3_000, copySnapshot: 3_000 });
  const before = new Set(await namesOf(place));
  const handle = await start();
  while ((await namesOf(place)).every((name) => before.has(name))) await sleep(50);
  return handle;
}
const soon = () => environment.lab.control.durations({ snapshot: 300, copySnapshot: 300 });
/** What there is of ours: names and whether they are finished, in both regions. */
const ours = async () => Promise.all([environment.rds, there].map(async (rds) => (await snapshotsOf(rds)).filter(({ DBSnapshotIdentifier }) => DBSnapshotIdentifier?.startsWith('runbooks-')).map(({ DBSnapshotIdentifier, TagList }) => `${DBSnapshotIdentifier}${TagList?.some(({ Key }) => Key === 'durable-runbooks:finished') ? '' : ' unfinished'}`)));

describe('database-snapshot', () => {
  it('takes one, copies it, verifies both, and removes the last one when it is past its retention', async () => {
    const first = await start();
    const { snapshot, copies, removed } = await first.result() as DatabaseSnapshotResult;
    expect([copies.map(({ id, where, takenAt }) => ({ id, where, takenAt })), removed]).toEqual([[{ id: snapshot.id, where: OTHER_REGION, takenAt: snapshot.takenAt }], []]);
    expect(await ours()).toEqual([[snapshot.id], [snapshot.id]]);
    await sleep(1_100);
    const { evidence, failure } = await environment.run('database-snapshot');
    expect(failure).toBeUndefined();
    expect(evidence).toMatchObject({ outcome: 'succeeded', verdict: { restore: null, rto: null, rpo: null }, teardown: { outcome: 'done', provenAbsent: true, destroyed: [] }, recovery: null, plan: { instance: 'shop-prod', copies: [OTHER_REGION], keepAtLeast: 1 } });
    expect(evidence.steps.map(({ name, outcome }) => `${name} ${outcome}`)).toEqual(['plan', 'snapshot', 'verify', `copy to ${OTHER_REGION}`, `verify in ${OTHER_REGION}`, 'look for expired ones', 'remove expired ones'].map((name) => `${name} done`));
    expect(evidence.checks.map(({ name, outcome }) => `${name} ${outcome}`)).toEqual(['eu-central-1', OTHER_REGION].flatMap((where) => ['available', 'instance', 'moment', 'size', 'encryption'].map((name) => `${name} in ${where} passed`)));
    expect(evidence.steps.at(-1)?.summary).toBe(`removed ${snapshot.id} in eu-central-1, ${snapshot.id} in ${OTHER_REGION}`);
    const [here, copied] = await ours();
    expect([here, copied?.length, here?.includes(snapshot.id)]).toEqual([copied, 1, false]);
    expect(await namesOf(environment.rds)).toContain('by-hand');
  });

  it('keeps what it has finished, though its guardian reads everywhere what was there before', async () => {
    await environment.lab.control.durations({ snapshot: 3_000 });
    await environment.lab.control.clearCalls();
    const running = environment.run('database-snapshot');
    // From the moment on at which its own snapshot is finished.
    while (!(await environment.lab.control.calls()).some(({ action, region, status }) => action === 'AddTagsToResource' && region === 'eu-central-1' && status === 200)) await sleep(10);
    const old = await environment.lab.control.fault({ kind: 'staleReads', seconds: 2, forSeconds: 60 });
    const { evidence, failure } = await running;
    await environment.lab.control.clearFaults(old);
    await soon();
    expect([failure, evidence.outcome, evidence.teardown]).toEqual([undefined, 'succeeded', expect.objectContaining({ outcome: 'done', provenAbsent: true, destroyed: [] })]);
    const name = evidence.checks[0]?.detail.split(' ')[0];
    for (const place of await ours()) expect(place).toContain(name);
  });

  it('is one snapshot, though the worker is killed while it is made', async () => {
    const [before = []] = await ours();
    const handle = await underWay();
    await environment.replaceWorker();
    await soon();
    const { snapshot } = await handle.result() as DatabaseSnapshotResult;
    const [after = []] = await ours();
    expect(after.filter((name) => !before.includes(name))).toEqual([snapshot.id]);
  });

  it.each([['aborted', 'ABORTED'], ['terminated', 'TERMINATED']] as const)('leaves nothing when it is %s while its snapshot is made', async (how, type) => {
    const before = await ours();
    const handle = await underWay();
    if (how === 'aborted') await handle.signal('abort', { by: 'anna' });
    else await handle.terminate('for the test');
    const evidence = await ended(handle);
    await soon();
    expect(evidence).toMatchObject({ outcome: how, failure: { type }, teardown: { outcome: 'done', provenAbsent: true } });
    expect(evidence.teardown.destroyed.join()).toMatch(/^snapshot runbooks-\d{8}t\d{6}z-[0-9a-f]{8}-\d+ in eu-central-1$/);
    expect(await ours()).toEqual(before);
  });

  it('keeps the snapshot that is finished, and not the copy that was not, when it is aborted while that is made', async () => {
    const [here, copied] = await ours();
    const handle = await underWay(there);
    await handle.signal('abort', { by: 'anna' });
    const { teardown } = await ended(handle);
    await soon();
    expect(teardown.destroyed.join()).toMatch(/ in eu-west-1$/);
    const after = await ours();
    expect([after[0]?.length, after[1]]).toEqual([(here?.length ?? 0) + 1, copied]);
    expect(after.flat().filter((name) => name.endsWith('unfinished'))).toEqual([]);
  });
});

/** Evidence of a run that somebody ended, once its guardian has ended, too. */
async function ended(handle: WorkflowHandleWithFirstExecutionRunId): Promise<Evidence> {
  await handle.result().catch(() => undefined);
  await awaitGuardian(environment.client, handle);
  const directory = join(environment.root, 'evidence');
  const all = await Promise.all((await readdir(directory)).filter((name) => name.endsWith('.json')).map(async (name) => evidenceSchema.parse(JSON.parse(await readFile(join(directory, name), 'utf8')))));
  const [found] = all.filter(({ workflowId }) => workflowId === handle.workflowId);
  if (!found) throw new Error(`there is no evidence of ${handle.workflowId}`);
  return found;
}
