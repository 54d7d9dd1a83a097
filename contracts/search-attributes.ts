/** The search attributes that runs set, and their types as the Temporal server names them. */
export const SEARCH_ATTRIBUTES = {
  RunbookType: 'Keyword',
  RunbookTarget: 'Keyword',
  RunbookPhase: 'Keyword',
  RunbookOutcome: 'Keyword',
  RunbookAwaitingApproval: 'Bool',
  RunbookRtaSeconds: 'Double',
  RunbookRpaSeconds: 'Double',
} as const;
/** A name that users search by, as in `temporal workflow list --query`. */
export type SearchAttributeName = keyof typeof SEARCH_ATTRIBUTES;

/** The task queue of workflows and of activities that any host may run. */
export const TASK_QUEUE = 'runbooks';

/** What a host may be called in a task queue. */
export const HOST_NAME = /^[A-Za-z0-9][A-Za-z0-9._-]{0,252}$/;

/** The task queue of activities that work on the files of one host. */
export function hostTaskQueue(host: string): string {
  return `${TASK_QUEUE}@${host}`;
}

/** Whether only one host's worker works on a task queue. */
export function isHostTaskQueue(taskQueue: string): boolean {
  return taskQueue.startsWith(`${TASK_QUEUE}@`);
}
