import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { expect, it } from 'vitest';
import { startTimeSkippingServer } from '../support/time-skipping-server.ts';

it('the time-skipping server passes 30 days in seconds', async () => {
  const root = await mkdtemp(path.join(tmpdir(), 'time-skipping-'));
  const server = await startTimeSkippingServer(root);
  try {
    const before = await server.environment.currentTimeMs();
    await server.environment.sleep('30 days');
    expect((await server.environment.currentTimeMs()) - before).toBeGreaterThanOrEqual(30 * 86_400_000);
  } finally {
    await server.stop();
    await rm(root, { recursive: true, force: true });
  }
});
