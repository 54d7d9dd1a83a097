import { WorkflowExecutionAlreadyStartedError } from '@temporalio/client';
import type { temporal } from '@temporalio/proto';
import { decidingWords } from '../../contracts/deciding.ts';
import type { GatePolicy } from '../../contracts/gate.ts';
import { TASK_QUEUE } from '../../contracts/search-attributes.ts';
import type { Connected } from './connect.ts';
import { CommandError, EXIT } from './exit.ts';
import { coloured, plain } from './output.ts';
import { ourCommand } from './printed-command.ts';
import type { TemporalOptions } from './options.ts';
import type { WorkflowFlags } from './start-flags.ts';
import { webUiLink } from './web-ui.ts';

/** What `start` tells about a run that has begun. */
export interface Started {
  workflowId: string;
  runId: string;
  type: string;
  taskQueue: string;
  namespace: string;
  webUi: string | null;
  /** Command that approves at the run's gate the plan that it shows by then; the one of `status` is bound to the plan that it shows. Null where it has none. */
  approve: string | null;
  watch: string;
  /** Command that starts a worker for it. */
  worker: string;
  /** Whether a worker polls the task queue; null when the server did not say. */
  workerAnswers: boolean | null;
}

/** What to start; its input was checked against the runbook's schema. Without `taskQueue`, that of all workers of ours. */
export interface StartRequest {
  type: string;
  input: Record<string, unknown>;
  workflowId: string;
  taskQueue?: string | undefined;
  /** What else the server is told of it; outranks what it is told otherwise. */
  workflow?: WorkflowFlags | undefined;
  webUi: string | undefined;
  /** The first gate at which it will stop, as far as is known here; null without one. */
  gate: Pick<GatePolicy, 'assurance'> | null;
  /** The flags that were given, which the commands that are printed repeat. */
  flags: TemporalOptions;
}

/** Starts a run. A workflow id that is in use is refused: nobody's run is touched. */
export async function startRun({ client, address, namespace }: Connected, request: StartRequest): Promise<Started> {
  const { type, input, workflowId, taskQueue = TASK_QUEUE, workflow, flags } = request;
  const target = typeof input['database'] === 'string' ? ` of ${input['database']}` : '';
  let runId: string;
  try {
    const handle = await client.workflow.start(type, { staticSummary: `${type}${target}`, ...workflow, workflowId, taskQueue, args: [input], workflowIdConflictPolicy: 'FAIL' });
    runId = handle.firstExecutionRunId;
  } catch (error) {
    if (!(error instanceof WorkflowExecutionAlreadyStartedError)) throw error;
    throw new CommandError(EXIT.usage, `a run with the id "${workflowId}" is there already; take another id, or watch it with: ${ourCommand(flags, 'watch', workflowId)}`, { cause: error });
  }
  return {
    workflowId, runId, type, taskQueue, namespace,
    webUi: (await webUiLink({ webUi: request.webUi, address, namespace, workflowId, runId })) ?? null,
    approve: request.gate ? ourCommand(flags, ...decidingWords('approve', workflowId, { assurance: request.gate.assurance })) : null,
    watch: ourCommand(flags, 'watch', workflowId),
    worker: ourCommand(flags, 'worker'),
    workerAnswers: await hasPollers({ client, namespace }, taskQueue),
  };
}

/** What people read after a start. */
export function startedLines(started: Started): string[] {
  return [
    `started  ${plain(started.workflowId)}`,
    ...(started.webUi === null ? [] : [`web UI   ${started.webUi}`]),
    `watch    ${started.watch}`,
    ...(started.approve === null ? [] : [`approve  ${started.approve}`]),
    ...(started.workerAnswers === false ? [coloured(`No worker answers on task queue "${started.taskQueue}": the run waits until one does. Start one with: ${started.worker}`, 'unsure')] : []),
  ];
}

// The enum itself cannot be imported: the package is CommonJS, whose names Node does not see.
const WORKFLOWS: temporal.api.enums.v1.TaskQueueType.TASK_QUEUE_TYPE_WORKFLOW = 1;
/** For task queues that only activities use. */
export const ACTIVITIES: temporal.api.enums.v1.TaskQueueType.TASK_QUEUE_TYPE_ACTIVITY = 2;

/** Whether a worker asked this task queue for work lately; null when the server does not say. */
export async function hasPollers({ client, namespace }: Pick<Connected, 'client' | 'namespace'>, taskQueue: string, queueType: temporal.api.enums.v1.TaskQueueType = WORKFLOWS): Promise<boolean | null> {
  try {
    const answer = await client.workflowService.describeTaskQueue({
      namespace, taskQueue: { name: taskQueue }, taskQueueType: queueType,
    });
    return (answer.pollers ?? []).length > 0;
  } catch {
    // Some servers forbid it; a start is no worse for it.
    return null;
  }
}
