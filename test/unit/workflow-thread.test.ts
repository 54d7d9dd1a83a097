import { noopMetricMeter } from '@temporalio/common';
import { DefaultLogger } from '@temporalio/worker';
import { compileWorkerOptions } from '@temporalio/worker/lib/worker-options.js';
import { expect, it } from 'vitest';
import { WORKFLOW_THREAD } from '../../workers/workflow-thread.ts';

it('the SDK takes for how long workflow code may have its thread, of which its types say nothing', () => {
  const compiled = (options: object) => compileWorkerOptions({ taskQueue: 'any', workflowBundle: { code: '' }, ...options }, new DefaultLogger('ERROR'), noopMetricMeter).isolateExecutionTimeoutMs;
  expect([compiled(WORKFLOW_THREAD), compiled({})]).toEqual([30_000, 5_000]);
});
