import { randomUUID } from 'node:crypto';
import { readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { parse, stringify } from 'yaml';
import { setTimeout as sleep } from 'node:timers/promises';
import type { WorkflowHandle, WorkflowHandleWithFirstExecutionRunId } from '@temporalio/client';
import { afterAll, afterEach, beforeAll, beforeEach, expect, it } from 'vitest';
import { evidenceSchema, type Evidence } from '../../contracts/evidence.ts';
import type { Progress } from '../../contracts/messages.ts';
import { TASK_QUEUE } from '../../contracts/search-attributes.ts';
import { approve } from '../../scripts/cli/decide.ts';
import { extend, retry, skip } from '../../scripts/cli/steer.ts';
import { startDemoEnvironment, type DemoEnvironment } from '../../scripts/demo/environment.ts';
import { awaitGuardian } from '../support/await-guardian.ts';
import { captureOutput } from '../support/captured-output.ts';
import { takeBackup } from '../support/drill-run.ts';

/** A whole drill in which something on the host is not as it should be, and what an operator makes of it. */
const PEOPLE_TAKE_MS = 3_000;
let demo: DemoEnvironment;
let address: string;
let probe: string;
let output: ReturnType<typeof captureOutput>;
beforeAll(async () => {
  demo = await startDemoEnvironment({ scale: 0.01, seed: 9, writersPerSecond: 0, log: () => undefined });
  ({ address } = demo.server);
  probe = join(demo.root, 'probe');
  const configuration = parse(await readFile(demo.configurationFile, 'utf8')) as { databases: { shop: object } };
  Object.assign(configuration.databases.shop, { failedSteps: { wait: '2m' }, probe: { command: [probe] } });
  await writeFile(demo.configurationFile, stringify(configuration), { mode: 0o600 });
  await demo.endWorker('SIGTERM');
  await demo.startWorker();
  await takeBackup(demo);
}, 180_000);
afterAll(() => demo.stop(), 60_000);
beforeEach(() => { output = captureOutput(); });
afterEach(() => output.end());

const progress = (handle: WorkflowHandle) => handle.query<Progress>('progress');

async function until(handle: WorkflowHandle, what: string, isSo: (progress: Progress) => boolean): Promise<void> {
  for (const end = Date.now() + 90_000; Date.now() < end; await sleep(100)) if (await progress(handle).then(isSo, () => false)) return;
  throw new Error(`never: ${what}`);
}

/** A drill whose probe cannot be started, approved, up to where it waits for an operator. */
async function untilProbeWaits(atGate: (id: string) => Promise<void> = async () => undefined): Promise<WorkflowHandleWithFirstExecutionRunId> {
  const handle = await demo.client.workflow.start('dr-test', { workflowId: `dr-test/shop/${randomUUID()}`, taskQueue: TASK_QUEUE, args: [{ database: 'shop', requester: 'zoe' }] });
  await until(handle, 'the gate is open', ({ openGate }) => openGate !== null);
  await atGate(handle.workflowId);
  expect(await approve(handle.workflowId, { address, by: 'anna' })).toBe(0);
  await until(handle, 'the probe waits', ({ waitingStep }) => waitingStep?.name === 'application probe');
  return handle;
}

async function evidenceOf(handle: WorkflowHandleWithFirstExecutionRunId): Promise<Evidence> {
  const file = await handle.result().then((result) => (result as { evidence: string }).evidence, (error: { cause?: { details?: [{ evidence: string }] } }) => error.cause?.details?.[0].evidence ?? '');
  await awaitGuardian(demo.client, handle);
  return evidenceSchema.parse(JSON.parse(await readFile(file, 'utf8')));
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
  const evidence = await evidenceOf(handle);
  expect(evidence.outcome).toBe('succeeded');
  expect(evidence.verdict.restore).toBe('sound');
  expect(evidence.steps.filter(({ name }) => name === 'application probe').map(({ outcome }) => outcome)).toEqual(['failed', 'done']);
  expect(evidence.checks.find(({ name }) => name === 'application probe')).toMatchObject({ outcome: 'passed' });
  expect(evidence.operations).toMatchObject([{ operation: 'extendDeadline', by: 'anna', reason: 'anna is on a train' }, { operation: 'retryStep', by: 'anna', reason: 'the probe is installed now', of: 'application probe' }]);
  // The probe passes only after them, and what people take is stated apart; the gate took some of it, too.
  const { rtaSeconds, rtaWithoutWaitSeconds } = evidence.recovery!;
  const [gate] = evidence.gates;
  const atGate = (Date.parse(gate?.closedAt ?? '') - Date.parse(gate?.openedAt ?? '')) / 1000;
  expect(rtaSeconds - rtaWithoutWaitSeconds - atGate).toBeGreaterThan(PEOPLE_TAKE_MS / 1000);
  expect(evidence.teardown).toMatchObject({ outcome: 'done', provenAbsent: true });
}, 150_000);

it('a step that is skipped costs the verdict what its runbook says', async () => {
  await rm(probe, { force: true });
  const handle = await untilProbeWaits();
  expect(await skip(handle.workflowId, { address, by: 'anna', reason: 'its host is down today' })).toBe(0);
  const evidence = await evidenceOf(handle);
  expect(evidence.verdict.restore).toBe('notProven');
  expect(evidence.failure).toMatchObject({ type: 'RESTORE_NOT_PROVEN', message: expect.stringContaining('application probe: an operator skipped it') as string });
  expect(evidence.steps.filter(({ name }) => name === 'application probe').map(({ outcome }) => outcome)).toEqual(['failed', 'skipped']);
  expect(evidence.notVerified).toContain('application probe: an operator skipped it');
  expect(evidence.operations).toMatchObject([{ operation: 'skipStep', by: 'anna', reason: 'its host is down today', of: 'application probe' }]);
  expect(evidence.teardown).toMatchObject({ outcome: 'done', provenAbsent: true });
}, 150_000);
