/** Whether a workflow with this status is over. Not the same as "it does not run": Temporal can pause one, and it goes on later. */
export function isOver(status: string): boolean {
  return status !== 'RUNNING' && status !== 'PAUSED';
}
