/** Whether a workflow with this status is over. Not the same as "it does not run": Temporal can pause one, and it goes on later. */
export function isOver(status: string): boolean {
  return status !== 'RUNNING' && status !== 'PAUSED';
}

/** Whether a workflow with this status was ended from outside, so that its own code had no say in it. */
export function wasEndedByForce(status: string): boolean {
  return status === 'TERMINATED' || status === 'TIMED_OUT';
}
