import { z } from 'zod';
import { OUTCOMES, compensationRecordSchema, teardownSchema } from './evidence.ts';
import { ownerSchema } from './ledger.ts';
import { PRIORITIES } from './priority.ts';

/**
 * What a run puts into what it asks its guardian, and gets back with the answer. A reset hands a run the signals of its
 * former life again: only the answer to what this life asked counts. One without answers nothing.
 */
const askingSchema = z.string().optional();

/**
 * What runs, guardians and locks send each other. Anybody who can reach the server can send a signal of these names, from
 * the web UI with an empty form too: a handler that trusted its payload would fail its task for ever. What does not fit
 * is dropped.
 */
export const ownedSchema = z.object({ owner: ownerSchema, fence: z.number().int().positive().optional(), leaseExpiresAtMs: z.number(), refused: z.string().optional(), asking: askingSchema });
export const overdueSchema = z.object({ owner: ownerSchema, reason: z.string(), asking: askingSchema });
export const settledSchema = z.object({ owner: ownerSchema, compensations: z.array(compensationRecordSchema), teardown: teardownSchema, rolledBack: z.string().optional(), asking: askingSchema });
/** `runId`: of the life of the run whose body has ended. */
export const finishSchema = z.object({
  outcome: z.enum(OUTCOMES), asking: askingSchema, runId: z.string().optional(),
  /** Ids of what is undone also after a good end: what began, failed, and was gone on without. Mostly there is none. */
  undoAnyway: z.array(z.string()).optional(),
});
export const placeSchema = z.object({ title: z.string(), input: z.record(z.string(), z.unknown()), taskQueue: z.string(), open: z.string(), close: z.string(), prove: z.string() });
/** `runId`: of the life of the run that asks. */
export const takeSchema = z.object({ place: placeSchema.nullable(), asking: askingSchema, runId: z.string().optional() });
export const grantedSchema = z.object({ fence: z.number().int().positive() });
/** Guardians of older code ask without one. */
const prioritySchema = z.enum(PRIORITIES).default('normal');
export const lockRequestSchema = z.object({ guardianId: z.string().min(1), owner: ownerSchema, runbook: z.string(), sharesTargetWith: z.array(z.string()), requestedAtMs: z.number(), priority: prioritySchema });
export const grantSchema = lockRequestSchema.extend({ fence: z.number().int().positive(), grantedAtMs: z.number() });
/** A lock that does not know yet what the one before it held: which that was, where that is known, and who has released since. */
const adoptingSchema = z.object({ formerRunId: z.string().optional(), startedAtMs: z.number(), released: z.array(z.string()) });
/** What a lock carries into its next execution, and a guardian is started with. By hand, both can be started with anything. `adopting`: this is not the whole of it yet. */
export const lockStateSchema = z.object({ nextFence: z.number().int().positive(), holders: z.array(grantSchema), waiting: z.array(lockRequestSchema), adopting: adoptingSchema.optional() });
export const guardianInputSchema = z.object({
  owner: ownerSchema, runbook: z.string(), target: z.string(), sharesTargetWith: z.array(z.string()),
  lease: z.object({ maximumMs: z.number(), hostLossMs: z.number() }),
  priority: prioritySchema,
  /** Channels that are told when something could not be undone. Runs of older code name none. */
  alarm: z.array(z.string()).default([]),
  /** Of this run, which was ended by force and has no guardian, the evidence is to be written; nothing is to be guarded. */
  forEvidence: z.object({ runId: z.string().min(1) }).optional(),
});
export const releaseSchema = z.object({ guardianId: z.string() });
