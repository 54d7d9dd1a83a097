import { TestWorkflowEnvironment } from '@temporalio/testing';
import { expect, it } from 'vitest';
import { resolveTimeSkippingServer } from '../../scripts/embedded/time-skipping.ts';

it('the time-skipping server passes 30 days in seconds', async () => {
  const { path } = await resolveTimeSkippingServer({ log: console.log });
  const environment = await TestWorkflowEnvironment.createTimeSkipping({ server: { executable: { type: 'existing-path', path } } });
  try {
    const before = await environment.currentTimeMs();
    await environment.sleep('30 days');
    expect((await environment.currentTimeMs()) - before).toBeGreaterThanOrEqual(30 * 86_400_000);
  } finally {
    await environment.teardown();
  }
});
