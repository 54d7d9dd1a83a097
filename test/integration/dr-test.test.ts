import { existsSync } from 'node:fs';
import { chmod, readdir, readFile, stat } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { randomUUID } from 'node:crypto';
import type { WorkflowHandle } from '@temporalio/client';
import type { SearchAttributeType } from '@temporalio/common';
import { Client } from 'pg';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { applicationName } from '../../activities/kernel/names.ts';
import type { DrillPlan } from '../../contracts/dr-test.ts';
import { evidenceSchema, type Evidence } from '../../contracts/evidence.ts';
import type { SearchAttributeName } from '../../contracts/search-attributes.ts';
import { startDemoEnvironment, type DemoEnvironment } from '../../scripts/demo/environment.ts';
import { hostName } from '../../workers/host.ts';
import { DrillRun } from '../faults/drill-run.ts';
import { awaitGuardian } from '../support/await-guardian.ts';
import { BY_DESIGN } from '../support/by-design.ts';
import { runDrill } from '../support/drill-run.ts';
import { problemsByPublishedSchema } from '../support/published-schema.ts';
import { withClient } from '../support/user-clients.ts';

let demo: DemoEnvironment;

beforeAll(async () => {
  demo = await startDemoEnvironment({ scale: 0.05, seed: 1, writersPerSecond: 20, log: () => undefined });
  await demo.client.workflow.execute('backup', { workflowId: `backup/shop/${randomUUID()}`, taskQueue: 'runbooks', args: [{}] });
});
afterAll(() => demo.stop());

/** The one piece of evidence of a run that is over. */
async function evidenceOf({ workflowId }: Pick<WorkflowHandle, 'workflowId'>): Promise<Evidence> {
  const directory = join(demo.root, 'evidence');
  const all = await Promise.all((await readdir(directory)).filter((name) => name.endsWith('.json')).map(async (name) => evidenceSchema.parse(JSON.parse(await readFile(join(directory, name), 'utf8')))));
  const found = all.filter((one) => one.workflowId === workflowId);
  expect(found).toHaveLength(1);
  expect(problemsByPublishedSchema(found[0])).toEqual([]);
  return found[0] as Evidence;
}

/** Where the run was planned, each time. */
async function planningQueues(handle: WorkflowHandle): Promise<(string | null | undefined)[]> {
  const { events } = await handle.fetchHistory();
  return (events ?? []).flatMap(({ activityTaskScheduledEventAttributes: scheduled }) => (scheduled?.activityType?.name === 'planDrill' ? [scheduled.taskQueue?.name] : []));
}

/** What a run must not leave: directories, processes of a drill, sessions and slots at the source. */
async function leftovers(): Promise<string[]> {
  const directories = existsSync(join(demo.root, 'drills')) ? await readdir(join(demo.root, 'drills')) : [];
  const processes: string[] = [];
  for (const pid of (await readdir('/proc')).filter((name) => /^\d+$/.test(name))) {
    const environment = await readFile(`/proc/${pid}/environ`, 'utf8').catch(() => '');
    if (environment.includes('DURABLE_RUNBOOKS_DRILL=') && environment.includes(demo.root)) processes.push(`process ${pid}`);
  }
  const atSource = await withClient(demo.production.config, async (client) => {
    const { rows } = await client.query<{ what: string }>(`SELECT application_name AS what FROM pg_stat_activity WHERE application_name LIKE 'runbook %' AND pid <> pg_backend_pid() UNION ALL SELECT slot_name FROM pg_replication_slots`);
    return rows.map((row) => row.what);
  });
  return [...directories, ...processes, ...atSource];
}

describe('dr-test on a database under write load', () => {
  it('finds a sound backup sound, compares everything, and leaves nothing behind', async () => {
    // As a snapshot by hard links, or a chmod, touches them while people think: they arrived when they arrived.
    const { archiveDirectory } = demo.production;
    const atGate = async () => { for (const name of await readdir(archiveDirectory)) await chmod(join(archiveDirectory, name), (await stat(join(archiveDirectory, name))).mode); };
    const { evidence: { workflowId } } = await runDrill(demo, {}, { atGate });
    const handle = demo.client.workflow.getHandle(workflowId);
    const evidence = await evidenceOf(handle);
    expect(evidence.gates.flatMap(({ decisions }) => decisions.map(({ counted }) => counted))).toEqual([true]);
    expect(await handle.result()).toMatchObject({ verdict: { restore: 'sound', rto: 'met', rpo: 'met' } });
    // What people approved is looked at once more where it was looked at first: another host would plan for itself, and void it.
    expect((await planningQueues(handle)).at(-1)).toBe(`runbooks@${hostName()}`);
    // What nobody can compare is stated, and nothing else was left out.
    expect(evidence.notVerified.filter((reason) => !BY_DESIGN.test(reason))).toEqual([]);
    expect(evidence.notVerified.join()).toMatch(/unlogged table ops\.page_cache/);
    expect(evidence.notVerified.join()).toMatch(/template0, contents/);
    expect(evidence.checks.filter((check) => check.outcome === 'failed')).toEqual([]);
    expect(evidence.recovery?.phases.reduce((sum, phase) => sum + phase.seconds, 0)).toBeCloseTo(evidence.recovery?.rtaSeconds ?? -1, 2);
    // By these runs are found in the web UI.
    const { typedSearchAttributes: attributes } = await handle.describe();
    const valueOf = (name: SearchAttributeName, type: SearchAttributeType) => attributes.get({ name, type });
    expect([valueOf('RunbookRtaSeconds', 'DOUBLE'), valueOf('RunbookRpaSeconds', 'DOUBLE')]).toEqual([evidence.recovery?.rtaSeconds, evidence.recovery?.rpaSeconds]);
    expect([valueOf('RunbookOutcome', 'KEYWORD'), valueOf('RunbookAwaitingApproval', 'BOOL'), valueOf('RunbookTarget', 'KEYWORD')]).toEqual(['succeeded', false, 'shop']);
    expect(evidence.teardown).toMatchObject({ outcome: 'done', provenAbsent: true });
    // What the plan said would be created is what was.
    const { creates } = evidence.plan as DrillPlan;
    expect(evidence.teardown.destroyed.filter((thing) => thing.startsWith('directory ')).map((thing) => dirname(thing).replace(/-\d+$/, '-<fence>'))).toEqual([`directory ${creates.directory}`]);
    expect(creates.leaseMs).toBe(48 * 3_600_000);
    expect(await leftovers()).toEqual([]);
  });

  it('to depth quick, says that definitions and counts are as they were, and nothing of contents', async () => {
    const { evidence, failure } = await runDrill(demo, { depth: 'quick' });
    expect(failure).toBeUndefined();
    expect(evidence.verdict?.restore).toBe('notProven');
    expect(evidence.notVerified.join()).toMatch(/depth quick counts rows and compares the catalog only/);
    const ofShop = evidence.checks.filter(({ name }) => name.endsWith(' of shop'));
    expect(ofShop).toEqual([{ name: 'definitions and counts of shop', outcome: 'passed', detail: expect.stringMatching(/^[1-9]\d* definitions and [1-9]\d* sequences are as at [0-9A-F/]+; [1-9]\d* rows in [1-9]\d* tables are as many as there, and were not compared$/) as string }]);
    expect(evidence.steps.find(({ name }) => name === 'compare shop')?.summary).toMatch(/^0 tables, 0 rows, .* definitions; .* tables counted only, .* rows$/);
  });

  it('what a stalled worker holds open at the source is ended, and looked for', async () => {
    const drill = await DrillRun.start(demo.client);
    expect(await drill.pauseBefore('compare shop')).toBe(true);
    const held = new Client({ ...demo.production.config, application_name: `${applicationName(drill.owner)} measure` });
    held.on('error', () => undefined);
    await held.connect();
    await drill.handle.terminate('test');
    await awaitGuardian(demo.client, drill.owner);
    const { outcome, teardown, chain } = await evidenceOf(drill.handle);
    expect({ outcome, writtenBy: chain.writtenBy }).toEqual({ outcome: 'terminated', writtenBy: 'guardian' });
    expect(teardown?.destroyed).toContain('1 sessions at the source');
    expect(teardown?.proofs.map(({ looked }) => looked.includes('sessions and slots at the source'))).toEqual([true, true]);
    await held.end().catch(() => undefined);
    expect(await leftovers()).toEqual([]);
  });

  it('fails at once, with a sentence, for a recovery point that is not there', async () => {
    const handle = await demo.client.workflow.start('dr-test', { workflowId: `dr-test/shop/${randomUUID()}`, taskQueue: 'runbooks', args: [{ recoveryPoint: { id: 'nope' } }] });
    await expect(handle.result()).rejects.toMatchObject({ cause: { type: 'NOT_FOUND', message: expect.stringContaining('There is no recovery point "nope"') as string } });
  });
});
