/**
 * How long tests wait for what must come, as options of `vi.waitFor` and `vi.waitUntil`: a machine that is shared has been
 * seen to take four times as long as on another day. What comes is seen at once; only what never comes costs the wait.
 */
export const PATIENT = { timeout: 120_000 };
