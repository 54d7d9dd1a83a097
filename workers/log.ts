import { DefaultLogger } from '@temporalio/worker';
import { FAILURE_TYPES } from '../contracts/failures.ts';
import { GUARDIAN_TYPE, LOCK_TYPE } from '../contracts/guardian.ts';

/** The SDK's words for a worker that is meant to have activities only, as one of ours is. */
const NO_WORKFLOWS = 'No workflows registered, not polling for workflow tasks';
const TYPES: readonly string[] = FAILURE_TYPES;
/** Must not fail at all. All others that a worker has are runbooks. */
const OWN: readonly unknown[] = [GUARDIAN_TYPE, LOCK_TYPE];

/**
 * The log of a worker. A run that failed is no fault of the worker's, and its evidence says why: one line, where the SDK
 * prints a stack. Whatever else goes wrong is printed whole.
 */
export function workerLogger(write: (text: string) => void = (text) => process.stderr.write(text)): DefaultLogger {
  const whole = new DefaultLogger('WARN');
  return new DefaultLogger('WARN', ({ level, message, meta, timestampNanos }) => {
    if (message === NO_WORKFLOWS) return;
    const line = lineOf(message, meta ?? {});
    if (line === null) whole.log(level, message, meta);
    else write(`${new Date(Number(timestampNanos / 1_000_000n)).toISOString()} [${level}] ${line}\n`);
  });
}

function lineOf(message: string, meta: Record<string, unknown>): string | null {
  const { error, workflowId, workflowType, activityType, attempt } = meta;
  // One from a workflow comes from another realm.
  const { message: why, type } = (error ?? {}) as { message?: unknown; type?: unknown };
  if (typeof why !== 'string') return null;
  if (message === 'Workflow failed' && !OWN.includes(workflowType)) return oneLine(`run ${String(workflowId)} failed: ${why}`);
  if (message === 'Activity failed' && TYPES.includes(String(type))) return oneLine(`${String(activityType)} of ${String(workflowId)} failed (attempt ${String(attempt)}): ${String(type)}: ${why}`);
  return null;
}

function oneLine(text: string): string {
  return text.replaceAll(/\s*\n\s*/g, ' ');
}
