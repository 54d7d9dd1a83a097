import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { WorkflowFailedError, WorkflowNotFoundError } from '@temporalio/client';
import { ApplicationFailure, CancelledFailure, RetryState, TerminatedFailure, TimeoutFailure, TimeoutType } from '@temporalio/common';
import { describe, expect, it } from 'vitest';
import { namesOf } from '../../activities/evidence/store.ts';
import { endOf, evidenceByOthers } from '../../scripts/demo/run-end.ts';
import { PATIENT } from '../support/patience.ts';

const failed = (cause: Error | undefined) => Promise.reject<unknown>(new WorkflowFailedError('Workflow execution failed', cause, RetryState.NON_RETRYABLE_FAILURE));
const GUARDIAN = 'whatever it had made is torn down by its guardian';

describe("the end of the demo's drill", () => {
  it('is its own, with the evidence that it names, whether it is done or failed', async () => {
    expect(await endOf(Promise.resolve({ evidence: '/e/1.json' }))).toEqual({ instead: null, evidence: '/e/1.json', isByForce: false });
    expect(await endOf(failed(ApplicationFailure.nonRetryable('not what was backed up', 'RESTORE_UNSOUND', { verdict: {}, evidence: '/e/1.json' })))).toEqual({ instead: 'failed: not what was backed up', evidence: '/e/1.json', isByForce: false });
  });

  it.each([
    ['terminated', new TerminatedFailure('not tonight'), `was terminated (not tonight); ${GUARDIAN}`, true],
    ['ended by its time limit', new TimeoutFailure('Workflow execution timed out', undefined, TimeoutType.START_TO_CLOSE), `took longer than it may; ${GUARDIAN}`, true],
    ['cancelled before it began', new CancelledFailure('Workflow canceled'), `was cancelled; ${GUARDIAN}`, false],
  ])('is told in a sentence where it was %s, and with who tears down', async (_how, cause, instead, isByForce) => {
    expect(await endOf(failed(cause))).toEqual({ instead, evidence: undefined, isByForce });
  });

  it.each<[string, object]>([['left out', {}], ['none', { details: [] }], ['something else', { details: [{ verdict: {} }] }], ['nothing', { details: [null] }]])('is told where it failed with details that name no evidence: %s', async (_what, details) => {
    const cause = ApplicationFailure.create({ message: 'the input cannot be read', type: 'INVALID_INPUT', nonRetryable: true, ...details });
    expect(await endOf(failed(cause))).toEqual({ instead: 'failed: the input cannot be read', evidence: undefined, isByForce: false });
  });

  it('is told where somebody deleted it, and what nobody knows is thrown on', async () => {
    expect(await endOf(Promise.reject(new WorkflowNotFoundError('workflow not found', 'dr-test/shop/1', undefined)))).toMatchObject({ instead: `was deleted; ${GUARDIAN}`, isByForce: false });
    expect(await endOf(failed(undefined))).toMatchObject({ instead: 'failed: Workflow execution failed' });
    await expect(endOf(Promise.reject(new Error('the connection broke')))).rejects.toThrow('the connection broke');
  });
});

it('evidence that a guardian writes is waited for until all of it is there, and no longer than it may take', async () => {
  const directory = await mkdtemp(join(tmpdir(), 'demo-run-end-'));
  try {
    const run = { workflowId: 'dr-test/shop/1', runId: 'r' };
    const { evidence, report } = namesOf(run);
    await writeFile(join(directory, evidence), '{}');
    expect(await evidenceByOthers(directory, run, 0)).toBeUndefined();
    const waiting = evidenceByOthers(directory, run, PATIENT.timeout);
    await writeFile(join(directory, report), '<html>');
    expect(await waiting).toBe(join(directory, evidence));
  } finally {
    await rm(directory, { recursive: true });
  }
});
