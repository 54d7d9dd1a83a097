import { z } from 'zod';
import { defineRunbook } from '../../../contracts/runbook.ts';

const contract = { title: 'is measured', targetField: 'database', sharesTargetWith: [], gates: ['start'] };
export const BenchSteps = defineRunbook({ ...contract, type: 'bench-steps', input: z.strictObject({ database: z.string(), steps: z.int(), withUndo: z.boolean() }) });
export const BenchGate = defineRunbook({ ...contract, type: 'bench-gate', input: z.strictObject({ database: z.string(), requester: z.string() }) });
