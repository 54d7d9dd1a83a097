import { randomUUID } from 'node:crypto';
import { rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { WorkflowHandle, WorkflowHandleWithFirstExecutionRunId } from '@temporalio/client';
import { afterAll, afterEach, beforeAll, beforeEach, expect, it } from 'vitest';
import type { Progress } from '../../contracts/messages.ts';
import { TASK_QUEUE } from '../../contracts/search-attributes.ts';
import { approve } from '../../scripts/cli/decide.ts';
import { extend, retry, skip } from '../../scripts/cli/steer.ts';
import { startDemoEnvironment, type DemoEnvironment } from '../../scripts/demo/environment.ts';
import { captureOutput } from '../support/captured-output.ts';
import { drillEnd, takeBackup } from '../support/drill-run.ts';
import { reconfigure } from '../support/measured-source.ts';
import { until } from '../support/toy-runs.ts';

/** A whole drill in which something on the host is not as it should be, and what an operator makes of it. */
const PEOPLE_TAKE_MS = 3_000;
/** A drill may take so long up to its probe, beside other tests. */
const DRILL_MS = 90_000;
let demo: DemoEnvironment;
let address: string;
let probe: string;
let output: ReturnType<typeof captureOutput>;
beforeAll(async () => {
  demo = await startDemoEnvironment({ scale: 0.01, seed: 9, writersPerSecond: 0, log: () => undefined });
  ({ address } = demo.server);
  probe = join(demo.root, 'probe');
  await reconfigure(demo, (database) => { Object.assign(database, { failedSteps: { wait: '2m' }, probe: { command: [probe] } }); });
  await takeBackup(demo);
});
afterAll(() => demo.stop());
beforeEach(() => { output = captureOutput(); });
afterEach(() => output.end());

const progress = (handle: WorkflowHandle) => handle.query<Progress>('progress');

/** A drill whose probe cannot be started, approved, up to where it waits for an operator. */
async function untilProbeWaits(atGate: (id: string) => Promise<void> = async () => undefined): Promise<WorkflowHandleWithFirstExecutionRunId> {
  const handle = await demo.client.workflow.start('dr-test', { workflowId: `dr-test/shop/${randomUUID()}`, taskQueue: TASK_QUEUE, args: [{ database: 'shop', requester: 'zoe' }] });
  await until(async () => (await progress(handle)).openGate !== null, 'the gate is open', DRILL_MS);
  await atGate(handle.workflowId);
  expect(await approve(handle.workflowId, { address, by: 'anna' })).toBe(0);
  await until(async () => (await progress(handle)).waitingStep?.name === 'application probe', 'the probe waits', DRILL_MS);
  return handle;
}

it('a step that fails waits, is mended and tried again, and the drill is as good as one in which nothing failed', async () => {
  const handle = await untilProbeWaits(async (id) => {
    const before = Date.parse((await progress(demo.client.workflow.getHandle(id))).openGate!.expiresAt);
    expect(await extend(id, { address, by: 'anna', for: '4h', reason: 'anna is on a train' })).toBe(0);
    expect(Date.parse((await progress(demo.client.workflow.getHandle(id))).openGate!.expiresAt)).toBe(before + 4 * 3_600_000);
  });
  const { waitingStep } = await progress(handle);
  expect(waitingStep?.failure).toContain(probe);
  expect(waitingStep?.skippingCosts).toBe('application probe: an operator skipped it');
  await sleep(PEOPLE_TAKE_MS);
  await writeFile(probe, '#!/bin/sh\nexit 0\n', { mode: 0o755 });
  expect(await retry(handle.workflowId, { address, by: 'anna', reason: 'the probe is installed now' })).toBe(0);
  const { evidence } = await drillEnd(demo, handle);
  expect(evidence.outcome).toBe('succeeded');
  expect(evidence.verdict.restore).toBe('sound');
  expect(evidence.steps.filter(({ name }) => name === 'application probe').map(({ outcome }) => outcome)).toEqual(['failed', 'done']);
  expect(evidence.checks.find(({ name }) => name === 'application probe')).toMatchObject({ outcome: 'passed' });
  expect(evidence.operations).toMatchObject([{ operation: 'extendDeadline', by: 'anna', reason: 'anna is on a train' }, { operation: 'retryStep', by: 'anna', reason: 'the probe is installed now', of: 'application probe' }]);
  // The probe passes only after them, and all of it is stated as what people take; a gate's own wait, before it looks once more, comes on top.
  const { rtaSeconds, rtaWithoutWaitSeconds } = evidence.recovery!;
  const [failed, done] = evidence.steps.filter(({ name }) => name === 'application probe');
  const theyTook = (Date.parse(done!.startedAt) - Date.parse(failed!.finishedAt!)) / 1_000;
  expect(theyTook).toBeGreaterThan(PEOPLE_TAKE_MS / 1_000);
  expect(rtaSeconds - rtaWithoutWaitSeconds).toBeGreaterThan(theyTook);
  expect(evidence.teardown).toMatchObject({ outcome: 'done', provenAbsent: true });
});

it('a step that is skipped costs the verdict what its runbook says', async () => {
  await rm(probe, { force: true });
  const handle = await untilProbeWaits();
  expect(await skip(handle.workflowId, { address, by: 'anna', reason: 'its host is down today' })).toBe(0);
  const { evidence } = await drillEnd(demo, handle);
  expect(evidence.verdict.restore).toBe('notProven');
  expect(evidence.failure).toMatchObject({ type: 'RESTORE_NOT_PROVEN', message: expect.stringContaining('application probe: an operator skipped it') as string });
  expect(evidence.steps.filter(({ name }) => name === 'application probe').map(({ outcome }) => outcome)).toEqual(['failed', 'skipped']);
  expect(evidence.notVerified).toContain('application probe: an operator skipped it');
  expect(evidence.operations).toMatchObject([{ operation: 'skipStep', by: 'anna', reason: 'its host is down today', of: 'application probe' }]);
  expect(evidence.teardown).toMatchObject({ outcome: 'done', provenAbsent: true });
});
