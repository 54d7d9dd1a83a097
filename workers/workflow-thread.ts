/**
 * For how long workflow code may have the thread at a time: the SDK has 5 s, by the clock on the wall, and no type that tells of
 * it. Where the end of that time meets one of the hooks that Node calls for each promise, Node finds its "async hook stack"
 * corrupted and ends the process, with the activities of all runs: on a busy machine the long history of one run was enough. What
 * takes longer than the ten seconds of a workflow task is done in vain, and nothing worse; but what never ends must not keep the thread.
 */
export const WORKFLOW_THREAD = { isolateExecutionTimeout: '30s' } as const;
