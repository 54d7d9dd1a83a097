import { z } from 'zod';
import { sealSchema } from './chain.ts';
import { costsSchema } from './costs.ts';
import { ASSURANCES, decisionSchema, gateEventSchema } from './gate.ts';

/** RFC 3339 UTC with milliseconds. */
const instant = z.iso.datetime({ precision: 3 });

export const OUTCOMES = ['succeeded', 'failed', 'rejected', 'aborted', 'cancelled', 'terminated', 'timedOut'] as const;
/** How a run ended. `rejected`: a gate said no or expired. */
export type Outcome = (typeof OUTCOMES)[number];

export const verdictSchema = z.strictObject({
  restore: z.enum(['sound', 'unsound', 'notProven']).nullable(),
  rto: z.enum(['met', 'missed', 'notSet']).nullable(),
  rpo: z.enum(['met', 'missed', 'notSet']).nullable(),
});
/** What a run found out; null where it does not apply. */
export type Verdict = z.output<typeof verdictSchema>;

export const checkSchema = z.strictObject({ name: z.string(), outcome: z.enum(['passed', 'failed', 'skipped']), detail: z.string() });
export type Check = z.output<typeof checkSchema>;

export const stepRecordSchema = z.strictObject({
  name: z.string(),
  outcome: z.enum(['running', 'done', 'failed', 'cancelled', 'waiting', 'skipped']),
  startedAt: instant,
  finishedAt: instant.nullable(),
  attempts: z.number().int().min(0),
  summary: z.string().nullable(),
});
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
export type GateRecord = z.output<typeof gateRecordSchema>;

export const OPERATIONS = ['pause', 'resume', 'abort', 'retryStep', 'skipStep', 'extendDeadline'] as const;

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
export type OperationRecord = z.output<typeof operationRecordSchema>;

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
export type Recovery = z.output<typeof recoverySchema>;

export const compensationRecordSchema = z.strictObject({
  id: z.string(), step: z.string(), title: z.string(),
  outcome: z.enum(['done', 'failed', 'notNeeded']),
  startedAt: instant, finishedAt: instant, detail: z.string().nullable(),
});
export type CompensationRecord = z.output<typeof compensationRecordSchema>;

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
export type Teardown = z.output<typeof teardownSchema>;

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
export type Evidence = z.output<typeof evidenceSchema>;
