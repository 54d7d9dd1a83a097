import { randomUUID } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { WorkflowFailedError } from '@temporalio/client';
import type { Browser } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { namesOf } from '../../activities/evidence/store.ts';
import { evidenceSchema } from '../../contracts/evidence.ts';
import { TASK_QUEUE } from '../../contracts/search-attributes.ts';
import { startDemoEnvironment, type DemoEnvironment } from '../../scripts/demo/environment.ts';
import { awaitGuardian } from '../support/await-guardian.ts';
import { openPage, startBrowser } from './browser.ts';
import { addTargets, progressOf, startDrill, waitAtGate, type WaitingRun } from './drills.ts';
import { lookAtReport } from './report-page.ts';
import { WebUi, type RunAddress } from './web-ui.ts';

let demo: DemoEnvironment;
let browser: Browser;
let ui: WebUi;
/** Approved with an empty form; it runs while other tests look at other runs. */
let approved: WaitingRun;

beforeAll(async () => {
  browser = await startBrowser();
  demo = await startDemoEnvironment({ scale: 0.01, seed: 11, writersPerSecond: 20, log: () => undefined });
  await demo.client.workflow.execute('backup', { workflowId: `backup/shop/${randomUUID()}`, taskQueue: TASK_QUEUE, args: [{}] });
  ui = new WebUi(await openPage(browser, { viewport: { width: 1400, height: 1000 } }), demo.server.uiAddress ?? '');
});
afterAll(async () => {
  await browser?.close();
  await demo?.stop();
});

/** Reads the current details until they say something; the web UI shows them as they were when the page was opened. */
async function detailsShow(run: RunAddress, what: RegExp): Promise<void> {
  await expect.poll(() => ui.currentDetails(run), { interval: 500 }).toMatch(what);
}

/** How a run ended that did not succeed. */
const failureOf = ({ handle }: WaitingRun) => handle.result().then(() => 'it succeeded', (error: WorkflowFailedError) => error.cause?.message);

describe('a person with nothing but the web UI', () => {
  it('starts dr-test with an empty input, is refused with an empty form where a name is asked for, and rejects with a name', async () => {
    const address = await ui.startWorkflow({ workflowId: 'by-hand', type: 'dr-test', taskQueue: TASK_QUEUE });
    const run = { address, handle: demo.client.workflow.getHandle('by-hand') };
    const gate = await waitAtGate(run.handle);
    await detailsShow(address, /Waiting at gate start until \S+ Plan [0-9a-f]{64}\. Needs 1 of anna, ben, assurance claimed/);

    await ui.sendSignal(address, 'approve');
    await detailsShow(address, /refused: approve at .*asks for assurance .claimed. and this decision has .none.; decide with a name: .*runbook approve WORKFLOW_ID --by NAME/);
    expect((await progressOf(run.handle)).openGate).toMatchObject({ openedAt: gate.openedAt });
    expect((await progressOf(run.handle)).refused).toEqual([expect.stringContaining('asks for assurance "claimed"')]);
    expect((await run.handle.describe()).status.name).toBe('RUNNING');

    // Whoever reaches the server chooses names; they are no lines, and no links, in what approvers read.
    await run.handle.signal('approve', { gate: 'start', by: '`x` eve\n\n# Checked: [look](http://evil.example) `--by NAME`' });
    await detailsShow(address, /: x eve {1,2}# Checked: \[look\]\(http:\/\/evil\.example\) --by NAME may not decide at gate/);

    await ui.sendSignal(address, 'reject', '{"by":"anna","comment":"not tonight"}');
    expect(await failureOf(run)).toBe('gate "start" was rejected by anna: not tonight');
  });

  it('approves with an empty form where the gate accepts it, and the run goes on', async () => {
    await addTargets(demo, { anyone: { assurance: 'none', quorum: 1 }, two: { assurance: 'none', quorum: 2 } });
    approved = await startDrill(demo, 'anyone');
    await waitAtGate(approved.handle);
    await ui.sendSignal(approved.address, 'approve');
    await detailsShow(approved.address, /✓ copy|▶ copy/);
    expect((await progressOf(approved.handle)).openGate).toBeNull();
  });

  it('counts once: a second empty form does not make two of one', async () => {
    const run = await startDrill(demo, 'two');
    await waitAtGate(run.handle);
    await ui.sendSignal(run.address, 'approve');
    await expect.poll(async () => (await run.handle.fetchHistory()).events?.filter((event) => event.activityTaskScheduledEventAttributes?.activityType?.name === 'identifyDecision').length).toBe(1);
    expect((await progressOf(run.handle)).refused).toEqual([]);
    await ui.sendSignal(run.address, 'approve');
    await detailsShow(run.address, /Waiting at gate start[^]*refused: approve at .*an unnamed person has already decided/);
    expect((await progressOf(run.handle)).openGate).not.toBeNull();
  });

  it('pauses and resumes with empty forms, and aborts with another: the evidence says who asked, as far as it shows', async () => {
    const run = await startDrill(demo, 'anyone');
    await waitAtGate(run.handle);
    await ui.sendSignal(run.address, 'pause');
    await detailsShow(run.address, /dr-test on anyone: [^]*\(paused\)/);
    await ui.sendSignal(run.address, 'approve');
    await expect.poll(async () => (await progressOf(run.handle)).phase).toMatch(/^paused before/);
    // It stays there.
    await sleep(2_000);
    expect((await progressOf(run.handle)).phase).toMatch(/^paused before/);
    await ui.sendSignal(run.address, 'resume');
    await expect.poll(async () => (await progressOf(run.handle)).paused).toBe(false);
    await ui.sendSignal(run.address, 'abort');
    expect(await failureOf(run)).toMatch(/abort/i);
    await awaitGuardian(demo.client, { workflowId: run.handle.workflowId, firstExecutionRunId: run.address.runId });
    const { evidence: name } = namesOf(run.address);
    const evidence = evidenceSchema.parse(JSON.parse(await readFile(join(demo.root, 'evidence', name), 'utf8')));
    expect(evidence.outcome).toBe('aborted');
    expect(evidence.operations.map(({ operation }) => operation)).toEqual(['pause', 'resume', 'abort']);
    expect(evidence.teardown.provenAbsent || evidence.teardown.outcome === 'notNeeded').toBe(true);
  });

  it('rejects with an empty form, and the run ends as rejected', async () => {
    const run = await startDrill(demo, 'anyone');
    await waitAtGate(run.handle);
    await ui.sendSignal(run.address, 'reject');
    expect(await failureOf(run)).toBe('gate "start" was rejected by an unnamed person');
    await ui.open(run.address);
    await expect.poll(() => ui.text()).toMatch(/Failed[^]*was rejected by an unnamed person/);
  });
});

describe('the page of a run that has ended', () => {
  it('has a readable label on every activity and timer, and says what each step found', async () => {
    await approved.handle.result();
    const beginnings = await ui.beginnings(approved.address);
    expect(beginnings.filter((row) => !/ Summary \S/.test(row))).toEqual([]);
    expect(beginnings.join('\n')).toMatch(/Activity Type copyBackup Summary copy/);
    expect(beginnings.join('\n')).toMatch(/Timer Started .* Summary gate "start" expires/);
    const labels = await ui.timelineLabels(approved.address);
    for (const label of ['describeRun • read the configuration', 'planDrill • plan', 'gate "start" expires', 'identifyDecision • look who decided', 'compareWithManifest • compare shop', 'measureLoss • measure', 'writeEvidence • write evidence']) {
      expect(labels.join('\n')).toContain(label);
    }
    await detailsShow(approved.address, /dr-test on anyone: succeeded[^]*✓ plan: .*MiB[^]*✓ copy: [\d,]+ files[^]*✓ compare shop: \d+ tables, [\d,]+ rows/);
  });

  it('leads to a report that any browser shows, alone', async () => {
    const files = await approved.handle.result() as { evidence: string; report: string };
    const evidence = evidenceSchema.parse(JSON.parse(await readFile(files.evidence, 'utf8')));
    expect(evidence.gates).toMatchObject([{ outcome: 'approved', decisions: [{ decision: 'approve', by: null, assurance: 'none', channel: 'signal', counted: true }] }]);
    for (const [width, colorScheme] of [[1200, 'light'], [390, 'dark']] as const) {
      const look = await lookAtReport(browser, files.report, { viewport: { width, height: 900 }, colorScheme });
      expect(look).toMatchObject({ requests: [], complaints: [], overflowing: [], scrollsBy: 0 });
      expect(look.bars.filter((bar) => bar.visible)).toHaveLength(evidence.steps.length + evidence.gates.length);
    }
  });
});
