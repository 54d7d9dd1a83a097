import { z } from 'zod';
import { OUTCOMES, compensationRecordSchema, teardownSchema } from './evidence.ts';
import { isLargerThan } from './json-size.ts';
import { ownerSchema, workflowIdSchema } from './ledger.ts';
import { MOST_CHANNELS } from './notification.ts';
import { PRIORITIES } from './priority.ts';
import { isHostTaskQueue, TASK_QUEUE } from './search-attributes.ts';
import { shortened } from './whole-characters.ts';

/** What a `Date` can hold: beyond, writing it down throws. */
const instantMsSchema = z.number().min(0).max(8.64e15);
/** A duration in milliseconds: thirty years, which added to now is an instant still. */
const durationMsSchema = z.number().min(0).max(1e12);
/** Of runbooks. */
const nameSchema = z.string().regex(/^[\w.-]{1,100}$/);
/** A number that only rises, by one at a time; it is part of the path of a socket, which has few bytes. */
const fenceSchema = z.number().int().positive().max(2e12);
/** Words for people: shortened and not refused, since whoever waits for them would wait for ever. */
const wordsSchema = z.string().transform((words) => shortened(words, 10_000));
/** In characters of JSON. It becomes part of evidence, which has to fit into one payload. */
const LARGEST_SETTLEMENT = 500_000;
/** What one runbook shares its target with, so many at the most: a queue of requests has to fit into one payload. */
const sharesSchema = z.array(nameSchema).max(20);

/** Of a list, what is as it has to be: for what is not, the others are not forgotten. */
function eachOf<Item extends z.ZodType>(item: Item) {
  return z.array(z.unknown()).transform((list) => list.flatMap((one): z.output<Item>[] => {
    const { success, data } = item.safeParse(one);
    return success ? [data] : [];
  }));
}

/**
 * What a run puts into what it asks its guardian, and gets back with the answer. A reset hands a run the signals of its
 * former life again: only the answer to what this life asked counts. One without answers nothing.
 */
const askingSchema = z.string().max(200).optional();

/**
 * What runs, guardians and locks send each other. Anybody who can reach the server can send a signal of these names, from
 * the web UI with an empty form too: a handler that trusted its payload would fail its task for ever, and so would one that
 * passed on what the server refuses, such as an id that is too long. What does not fit is dropped.
 */
export const ownedSchema = z.object({ owner: ownerSchema, fence: fenceSchema.optional(), leaseExpiresAtMs: instantMsSchema, refused: wordsSchema.optional(), asking: askingSchema });
/** Of `INTERNAL.overdue`, guardian to run. `reason` is what the run gives as its failure. */
export const overdueSchema = z.object({ owner: ownerSchema, reason: wordsSchema, asking: askingSchema });
/**
 * Of `INTERNAL.settled`, guardian to run. One that is larger than evidence can take is dropped.
 * `rolledBack`: why what the run did is no result any more.
 */
export const settledSchema = z.object({ owner: ownerSchema, compensations: z.array(compensationRecordSchema), teardown: teardownSchema, rolledBack: wordsSchema.optional(), asking: askingSchema }).refine((settled) => !isLargerThan(settled, LARGEST_SETTLEMENT));
/** As the server makes them. */
const runIdSchema = z.string().min(1).max(200);
/** `runId`: of the life of the run whose body has ended. */
export const finishSchema = z.object({
  outcome: z.enum(OUTCOMES), asking: askingSchema, runId: runIdSchema.optional(),
  /** Ids of what is undone also after a good end: what began, failed, and was gone on without. Mostly there is none. */
  undoAnyway: z.array(z.string()).max(10_000).optional(),
});
/** Of an activity. */
const activitySchema = z.string().regex(/^\w{1,100}$/);
/** Where workers of ours are: of any other queue nobody may ever take the work. */
const taskQueueSchema = workflowIdSchema.refine((name) => name === TASK_QUEUE || isHostTaskQueue(name));
/** Goes into what the place's activities get, which fits into a payload then. */
const placeInputSchema = z.record(z.string(), z.unknown()).refine((input) => !isLargerThan(input, 100_000));
/** A `Place` as a message brings it: whatever its activities are called, only workers of ours are ever asked for them. */
export const placeSchema = z.object({ title: wordsSchema, input: placeInputSchema, taskQueue: taskQueueSchema, open: activitySchema, close: activitySchema, prove: activitySchema });
/** `runId`: of the life of the run that asks. */
export const takeSchema = z.object({ place: placeSchema.nullable(), asking: askingSchema, runId: runIdSchema.optional() });
/** Of `INTERNAL.granted`, lock to guardian: the target is yours under this number. */
export const grantedSchema = z.object({ fence: fenceSchema });
/** Guardians of older code ask without one. */
const prioritySchema = z.enum(PRIORITIES).default('normal');
/** Of `INTERNAL.request`, guardian to lock; asking again with the same `guardianId` is one request. */
export const lockRequestSchema = z.object({ guardianId: workflowIdSchema, owner: ownerSchema, runbook: nameSchema, sharesTargetWith: sharesSchema, requestedAtMs: instantMsSchema, priority: prioritySchema });
/** A request that was granted. `fence`: the number that every create checks; `grantedAtMs`: since 1970, by the lock's clock. */
export const grantSchema = lockRequestSchema.extend({ fence: fenceSchema, grantedAtMs: instantMsSchema });
/** A lock that does not know yet what the one before it held, and which that was, where that is known. `released`: from a lock of older code, who has let go since. */
const adoptingSchema = z.object({ formerRunId: z.string().max(200).optional(), startedAtMs: instantMsSchema, released: eachOf(workflowIdSchema).optional() });
/** What a lock carries into its next execution, and a guardian is started with. By hand, both can be started with anything. `adopting`: this is not the whole of it yet. */
export const lockStateSchema = z.object({ nextFence: z.number().int().positive().max(1e12), holders: eachOf(grantSchema), waiting: eachOf(lockRequestSchema), adopting: adoptingSchema.optional() });
/** Anybody can start a guardian with anything: what does not fit fails it with a sentence, before it asks for a lock. */
export const guardianInputSchema = z.object({
  owner: ownerSchema, runbook: nameSchema, target: z.string().max(200), sharesTargetWith: sharesSchema,
  lease: z.object({ maximumMs: durationMsSchema, hostLossMs: durationMsSchema }),
  priority: prioritySchema,
  /** Channels that are told when something could not be undone. Runs of older code name none. */
  alarm: z.array(z.string().max(100)).max(MOST_CHANNELS).default([]),
  /** Of this run, which was ended by force and has no guardian, the evidence is to be written; nothing is to be guarded. */
  forEvidence: z.object({ runId: runIdSchema }).optional(),
});
/** Of `INTERNAL.release`, guardian to lock: it holds nothing and waits for nothing any more. */
export const releaseSchema = z.object({ guardianId: workflowIdSchema });
