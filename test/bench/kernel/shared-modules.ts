import * as contracts from './contracts.ts';

/** What the bench adds to `workflows/shared-modules.ts`, as each runbook does with its contract; frozen for the reason told there. */
export const shared = [contracts];
for (const contract of shared) Object.freeze(contract);
