import { z } from 'zod';
import { defineRunbook } from '../../../contracts/runbook.ts';

/** A database that takes no writes for a while, and few connections. */
export const ReadOnlyWindow = defineRunbook({
  type: 'read-only-window', title: 'make a database read-only for a while', targetField: 'database', sharesTargetWith: [], gates: ['start'],
  input: z.strictObject({ database: z.string().optional(), requester: z.string().optional(), reason: z.string().optional(), minutes: z.number().positive().max(600).default(30), connections: z.number().int().min(1).default(5) }),
});
