/** How urgently a runbook needs its target. `recovery` is granted before all `normal` ones that wait, and ends none that works. */
export const PRIORITIES = ['normal', 'recovery'] as const;
/** One of {@link PRIORITIES}. */
export type Priority = (typeof PRIORITIES)[number];
