import { z } from 'zod';
import { sealSchema } from './chain.ts';
import { costsSchema } from './costs.ts';
import { ASSURANCES, decisionSchema, gateEventSchema } from './gate.ts';

/** RFC 3339 UTC with milliseconds. */
const instant = z.iso.datetime({ precision: 3 });

/** All that a run can end with. From `cancelled` on, they are the server's words for how it was closed. */
export const OUTCOMES = ['succeeded', 'failed', 'rejected', 'aborted', 'cancelled', 'terminated', 'timedOut'] as const;
/** How a run ended. `rejected`: a gate said no or expired. */
export type Outcome = (typeof OUTCOMES)[number];

/** Apart from the outcome: a restore that was found to be unsound stays so, whatever the run ends with. */
export const verdictSchema = z.strictObject({
  restore: z.enum(['sound', 'unsound', 'notProven']).nullable(),
  rto: z.enum(['met', 'missed', 'notSet']).nullable(),
  rpo: z.enum(['met', 'missed', 'notSet']).nullable(),
});
/** What a run found out; null where it does not apply. */
export type Verdict = z.output<typeof verdictSchema>;

/** One question to the restored copy. `detail`: what was found, without values of rows. */
export const checkSchema = z.strictObject({ name: z.string(), outcome: z.enum(['passed', 'failed', 'skipped']), detail: z.string() });
/** A check that was skipped had no answer; it neither passed nor failed. */
export type Check = z.output<typeof checkSchema>;

/** One try of a step: where it was retried there is a record for each. `attempts`: those of its activities, summed. */
export const stepRecordSchema = z.strictObject({
  name: z.string(),
  outcome: z.enum(['running', 'done', 'failed', 'cancelled', 'waiting', 'skipped']),
  startedAt: instant,
  finishedAt: instant.nullable(),
  attempts: z.number().int().min(0),
  summary: z.string().nullable(),
});
/** Times are those of the server's events; `finishedAt` is null while the step goes on. */
export type StepRecord = z.output<typeof stepRecordSchema>;

/** What a gate asked for while people decided. */
const gatePolicyRecordSchema = z.strictObject({
  /** By their names, groups resolved; empty: anyone. */
  approvers: z.array(z.string()),
  quorum: z.number().int().min(1),
  rejections: z.number().int().min(1),
  requesterMayApprove: z.boolean(),
  assurance: z.enum(ASSURANCES),
  /** Who may decide too from when on. */
  escalation: z.array(z.strictObject({ at: instant, approvers: z.array(z.string()) })),
});

/** How a gate was asked, answered and closed. `planHash`: of the plan that was decided on, the newest where it changed. */
export const gateRecordSchema = z.strictObject({
  name: z.string(),
  outcome: z.enum(['open', 'approved', 'rejected', 'expired', 'cancelled']),
  openedAt: instant,
  closedAt: instant.nullable(),
  planHash: z.string(),
  decisions: z.array(decisionSchema),
  /** Refused decisions beyond those that are kept. */
  decisionsLeftOut: z.number().int().min(0).default(0),
  events: z.array(gateEventSchema).default([]),
  /** Events beyond those that are kept. */
  eventsLeftOut: z.number().int().min(0).default(0),
  /** What it means that the gate expired, where it did. */
  onExpiry: z.enum(['reject', 'approve']).default('reject'),
  /** Null where older code wrote it. */
  policy: gatePolicyRecordSchema.nullable().default(null),
});
/** With defaults for what evidence of older code does not have. */
export type GateRecord = z.output<typeof gateRecordSchema>;

/** What an operator can do to a run that goes on; decisions at gates are not among them, they have records of their own. */
export const OPERATIONS = ['pause', 'resume', 'abort', 'retryStep', 'skipStep', 'extendDeadline'] as const;

/** An operator's message that was taken up. Those that changed nothing are among `refused`. */
export const operationRecordSchema = z.strictObject({
  at: instant,
  operation: z.enum(OPERATIONS),
  /** As the message says: a name that the caller chose. */
  by: z.string().nullable(),
  reason: z.string().nullable(),
  channel: z.enum(['signal', 'update']),
  /** What it was done to: a step, a gate; null where that is the run. */
  of: z.string().nullable().default(null),
  /** With what: another input, another deadline. */
  detail: z.string().nullable().default(null),
  /** What the client that sent it called itself: a name that it chose. Null where history does not tell. */
  identity: z.string().nullable().default(null),
  /** Who sent it, stamped by the Temporal server from a verified token; null without one, and for updates. */
  principal: z.string().nullable().default(null),
});
/** With defaults for what evidence of older code does not have. */
export type OperationRecord = z.output<typeof operationRecordSchema>;

/** What a recovery took and lost, in seconds, beside what it was allowed to. How it is measured: docs/explanation/measuring.md. */
export const recoverySchema = z.strictObject({
  rtoSeconds: z.number().nullable(),
  rpoSeconds: z.number().nullable(),
  rtaSeconds: z.number(),
  rtaWithoutWaitSeconds: z.number(),
  rtaWithoutComparisonSeconds: z.number(),
  rpaSeconds: z.number().nullable(),
  lostTransactions: z.number().int().nullable(),
  phases: z.array(z.strictObject({ name: z.string(), seconds: z.number() })),
  recoveryPoint: z.strictObject({ id: z.string(), takenAt: instant, provider: z.string() }),
  /** How RPA was measured, in words. */
  rpaMethod: z.string(),
  /** Source clock minus worker clock; null when the source did not answer. */
  clockSkewSeconds: z.number().nullable(),
  /** Clock of the drill's host minus that of the Temporal server, and how far off that may be. */
  hostClockSkew: z.strictObject({ seconds: z.number(), withinSeconds: z.number() }).nullable().default(null),
});
/** Null as a whole where nothing was recovered; a number in it is null where it was not set, or could not be measured. */
export type Recovery = z.output<typeof recoverySchema>;

/** What became of one entry of the ledger when its run ended. One that failed is for people to look at. */
export const compensationRecordSchema = z.strictObject({
  id: z.string(), step: z.string(), title: z.string(),
  outcome: z.enum(['done', 'failed', 'notNeeded']),
  startedAt: instant, finishedAt: instant, detail: z.string().nullable(),
});
/** In the order of undoing, the newest step first. `detail`: why it failed, or what undoing did; null where that says nothing. */
export type CompensationRecord = z.output<typeof compensationRecordSchema>;

/** What became of the place of a run. `provenAbsent`: two looks, some time apart, found nothing. */
export const teardownSchema = z.strictObject({
  outcome: z.enum(['done', 'failed', 'notNeeded']),
  provenAbsent: z.boolean(),
  leaseExpiresAt: instant.nullable(),
  destroyed: z.array(z.string()),
  /** What kept it from its end, down to the cause; null when nothing did. With `done`, what was to be removed is gone all the same. */
  failure: z.string().nullable().default(null),
  /** What was looked at, and when, to know that nothing is left. */
  proofs: z.array(z.strictObject({ at: instant, looked: z.array(z.string()), found: z.array(z.string()) })),
});
/** `notNeeded` where the run never opened a place. */
export type Teardown = z.output<typeof teardownSchema>;

/** The server stamps this on the start of a run: unlike the requester, it does not come from the input. */
export const startedBySchema = z.strictObject({
  /** What the client called itself: a name that it chose. */
  identity: z.string(),
  /** Stamped by the Temporal server from a verified token; null without one. */
  principal: z.string().nullable(),
});
/** Who started a run, as the server saw it. */
export type StartedBy = z.output<typeof startedBySchema>;

/** The record of a run. Additions are allowed within a schema version; a change of meaning raises it. */
export const evidenceSchema = z.strictObject({
  schemaVersion: z.literal(1),
  runbook: z.string(),
  workflowId: z.string(),
  runId: z.string(),
  target: z.string().nullable(),
  requester: z.string().nullable(),
  startedBy: startedBySchema.nullable().default(null),
  reason: z.string().nullable(),
  outcome: z.enum(OUTCOMES),
  failure: z.strictObject({ type: z.string(), message: z.string() }).nullable(),
  verdict: verdictSchema,
  startedAt: instant,
  finishedAt: instant,
  plan: z.unknown(),
  steps: z.array(stepRecordSchema),
  gates: z.array(gateRecordSchema),
  operations: z.array(operationRecordSchema).default([]),
  /** Those beyond the ones that are kept. */
  operationsLeftOut: z.number().int().min(0).default(0),
  /** Decisions and messages that changed nothing, with when they came and the reason: the first, and the newest. */
  refused: z.array(z.string()).default([]),
  /** Those beyond the ones that are kept. */
  refusedLeftOut: z.number().int().min(0).default(0),
  recovery: recoverySchema.nullable(),
  checks: z.array(checkSchema),
  compensations: z.array(compensationRecordSchema),
  teardown: teardownSchema,
  /** Null where nothing that is billed is made, and where older code wrote it. */
  costs: costsSchema.nullable().default(null),
  notVerified: z.array(z.string()),
  chain: z.strictObject({ codeVersion: z.string(), planHash: z.string().nullable(), writtenBy: z.enum(['run', 'guardian']), seal: sealSchema.nullable().default(null) }),
});
/** With defaults for what evidence of older code does not have. */
export type Evidence = z.output<typeof evidenceSchema>;
