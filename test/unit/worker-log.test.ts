import { ApplicationFailure } from '@temporalio/common';
import { afterEach, expect, it, vi } from 'vitest';
import { workerLogger } from '../../workers/log.ts';

const whole: string[] = [];
vi.spyOn(process.stderr, 'write').mockImplementation((text) => whole.push(String(text)) > 0);
afterEach(() => { whole.length = 0; });

function logged(message: string, meta?: Record<string, unknown>): string[] {
  const lines: string[] = [];
  workerLogger((text) => lines.push(text)).warn(message, meta);
  return lines;
}

it('tells of a run that failed, and of an activity that failed as it may, in one line', () => {
  const error = ApplicationFailure.nonRetryable('no disk\n  at all', 'PREFLIGHT');
  expect(logged('Workflow failed', { error, workflowId: 'dr-test/orders/1', workflowType: 'dr-test' })).toEqual([expect.stringMatching(/^2.*Z \[WARN\] run dr-test\/orders\/1 failed: no disk at all\n$/)]);
  expect(logged('Activity failed', { error, workflowId: 'dr-test/orders/1', activityType: 'copyBackup', attempt: 2 })).toEqual([expect.stringContaining('copyBackup of dr-test/orders/1 failed (attempt 2): PREFLIGHT: no disk at all\n')]);
  expect(whole).toEqual([]);
});

it('says nothing of the worker that has no workflows on purpose', () => {
  expect(logged('No workflows registered, not polling for workflow tasks')).toEqual([]);
  expect(whole).toEqual([]);
});

it.each([
  ['a guardian that failed', 'Workflow failed', { error: new Error('x'), workflowId: 'guardian/1', workflowType: 'guardian' }],
  ['an activity that failed as nobody foresaw', 'Activity failed', { error: new TypeError('x'), workflowId: 'dr-test/1', activityType: 'copyBackup' }],
  ['whatever else there is', 'Failed to poll', {}],
])('prints %s whole', (_title, message, meta) => {
  expect(logged(message, meta)).toEqual([]);
  expect(whole.join('')).toContain(message);
});
