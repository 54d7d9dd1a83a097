import { z } from 'zod';
import { durationMs } from './duration.ts';

/**
 * How well we know who decided. `none`: an empty form; `claimed`: a name the caller chose; `principal`: stamped by
 * the Temporal server from a verified token. Ordered from weak to strong.
 */
export const ASSURANCES = ['none', 'claimed', 'principal'] as const;
export type Assurance = (typeof ASSURANCES)[number];

/** The hash of a plan, or its beginning as people copy it: too long to be hit by accident. */
export const PLAN_HASH = /^[0-9a-f]{8,64}$/i;

/** Whether a hash that somebody gave is that of this plan, whole or as its first digits, eight at least. */
export function namesPlan(given: string, planHash: string): boolean {
  return given === planHash || (PLAN_HASH.test(given) && planHash.startsWith(given.toLowerCase()));
}

/** Who decides at a gate, and until when. */
export const gatePolicySchema = z.strictObject({
  /** Names that may decide. Empty: anyone may, at the assurance that is asked for. */
  approvers: z.array(z.string().min(1)).default([]),
  quorum: z.number().int().min(1).default(1),
  requesterMayApprove: z.boolean().default(false),
  /** The weakest proof of identity that counts. */
  assurance: z.enum(ASSURANCES).default('claimed'),
  /** How long the gate stays open; then it counts as rejected. */
  expiresAfter: durationMs.default(24 * 3_600_000),
}).refine((gate) => gate.approvers.length === 0 || gate.quorum <= new Set(gate.approvers).size, { path: ['quorum'], message: 'asks for more approvals than there are approvers; the gate could only expire' });
export type GatePolicy = z.output<typeof gatePolicySchema>;

/** A decision as it goes into the evidence. */
export const decisionSchema = z.strictObject({
  at: z.string(),
  decision: z.enum(['approve', 'reject']),
  by: z.string().nullable(),
  assurance: z.enum(ASSURANCES),
  channel: z.enum(['signal', 'update']),
  /** What the client that sent it called itself; null for an update, whose sender the run is not told. */
  identity: z.string().nullable().default(null),
  comment: z.string().nullable(),
  counted: z.boolean(),
  /** Why it did not count, as a sentence that says what to do; null when it did. */
  reason: z.string().nullable(),
});
export type Decision = z.output<typeof decisionSchema>;
