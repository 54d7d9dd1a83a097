/**
 * For how long workflow code may have the thread at a time: the SDK has 5 s, by the clock on the wall, and no type that tells of
 * it. Where the end of that time meets one of the hooks that Node calls for each promise, Node finds its "async hook stack"
 * corrupted and ends the process, with the activities of all runs: on a busy machine the long history of one run was enough.
 *
 * Not shorter, though a workflow task has ten seconds: that is so for its first three attempts, and from then on the server gives
 * each more, 5 s first, then 10 s and 20 s. What takes a busy machine that long comes to its end at last, where it would be cut off
 * each time, and might end the process each time. But what never ends must not keep the thread, which other runs wait for meanwhile.
 */
export const WORKFLOW_THREAD = { isolateExecutionTimeout: '30s' } as const;
