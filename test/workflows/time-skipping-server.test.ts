import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import type { TestWorkflowEnvironment } from '@temporalio/testing';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { requireFreeLoopbackPort } from '../../scripts/embedded/free-port.ts';
import { startTimeSkippingServer } from '../support/time-skipping-server.ts';

let root: string;
beforeAll(async () => { root = await mkdtemp(path.join(tmpdir(), 'time-skipping-')); });
afterAll(() => rm(root, { recursive: true, force: true }));

it('the time-skipping server passes 30 days in seconds', async () => {
  const server = await startTimeSkippingServer(root);
  try {
    const before = await server.environment.currentTimeMs();
    await server.environment.sleep('30 days');
    expect((await server.environment.currentTimeMs()) - before).toBeGreaterThanOrEqual(30 * 86_400_000);
  } finally {
    await server.stop();
  }
});

it.each([
  ['could not be made', () => Promise.reject(new Error('no environment'))],
  ['could not be ended', () => Promise.resolve({ teardown: () => Promise.reject(new Error('no environment')) } as unknown as TestWorkflowEnvironment)],
])('ends, too, where the environment on it %s', async (_, make) => {
  let port: number | undefined;
  const startAndStop = async () => (await startTimeSkippingServer(root, (options) => {
    port = options?.server && 'port' in options.server ? options.server.port : undefined;
    return make();
  })).stop();
  await expect(startAndStop()).rejects.toThrow('no environment');
  await requireFreeLoopbackPort(port ?? 0);
});
