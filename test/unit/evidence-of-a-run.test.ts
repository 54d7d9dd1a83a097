import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Client } from '@temporalio/client';
import { MockActivityEnvironment } from '@temporalio/testing';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { createKernelActivities } from '../../activities/kernel/create-kernel-activities.ts';
import type { EvidenceFiles } from '../../activities/kernel/kernel-activities.ts';
import { configurationSchema } from '../../contracts/configuration.ts';
import { sampleEvidence } from './report-fixture.ts';

let root: string;
beforeEach(async () => { root = await mkdtemp(join(tmpdir(), 'evidence-of-a-run-')); });
afterEach(() => rm(root, { recursive: true }));

const DAY_MS = 86_400_000;
/** One attempt to write the evidence, of an activity that was scheduled so long ago, on a host whose clock is ahead of Temporal's. */
function attempt(scheduledAgoMs: number, hostAheadMs = 0): Promise<EvidenceFiles> {
  const configuration = configurationSchema.parse({
    version: 1, evidence: { directory: join(root, 'evidence'), copies: [{ directory: join(root, 'share') }] },
    databases: { shop: { connection: {}, provider: { kind: 'archive', repository: root, walDirectory: root } } },
  });
  const activities = createKernelActivities({ client: {} as Client, configuration, codeVersion: 'test', searchAttributes: [] });
  const dueMs = Date.now() - hostAheadMs;
  const environment = new MockActivityEnvironment({ scheduledTimestampMs: dueMs - scheduledAgoMs, currentAttemptScheduledTimestampMs: dueMs, scheduleToCloseTimeoutMs: DAY_MS });
  return environment.run(() => activities.writeEvidence({ evidence: sampleEvidence() }));
}

it('waits for a copy that cannot be made, and is complete as soon as it can', async () => {
  await expect(attempt(0)).rejects.toThrow(/share: the directory is not there; mount it/);
  expect(await readdir(join(root, 'evidence'))).toHaveLength(3);
  await mkdir(join(root, 'share'));
  const { evidence } = await attempt(60_000);
  expect(evidence).toContain(join(root, 'evidence'));
  expect((await readdir(join(root, 'share'))).sort()).toEqual((await readdir(join(root, 'evidence'))).sort());
});

it('ends without the copy when there is no time for another attempt: the run is not lost for that', async () => {
  const { evidence, head } = await attempt(DAY_MS - 60_000);
  expect(existsSync(evidence)).toBe(true);
  expect(head).toMatch(/^[0-9a-f]{64}$/);
});

it.each([2 * DAY_MS, -2 * DAY_MS])('tells how much time there is by Temporal\'s clock, by which this host\'s is ahead by %d ms', async (hostAheadMs) => {
  await expect(attempt(DAY_MS - 5 * 60_000, hostAheadMs)).rejects.toThrow(/share: the directory is not there/);
  expect(existsSync((await attempt(DAY_MS - 2 * 60_000, hostAheadMs)).evidence)).toBe(true);
});
