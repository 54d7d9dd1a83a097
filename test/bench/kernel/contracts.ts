import { z } from 'zod';
import { defineRunbook } from '../../../contracts/runbook.ts';

const contract = { title: 'is measured', targetField: 'database', sharesTargetWith: [], gates: ['start'] };
/** Ends after so many steps, each with an entry in the ledger or without: what a step costs is the difference of two. */
export const BenchSteps = defineRunbook({ ...contract, type: 'bench-steps', input: z.strictObject({ database: z.string(), steps: z.int(), withUndo: z.boolean() }) });
/** Waits at its gate: what is measured is what that holds in memory. */
export const BenchGate = defineRunbook({ ...contract, type: 'bench-gate', input: z.strictObject({ database: z.string(), requester: z.string() }) });
