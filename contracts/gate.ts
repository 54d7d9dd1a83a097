import { z } from 'zod';
import { durationMs } from './duration.ts';
import { historyMistake } from './gate-history.ts';
import { MOST_CHANNELS } from './notification.ts';

/**
 * How well we know who decided. `none`: an empty form; `claimed`: a name the caller chose; `principal`: stamped by the
 * Temporal server from a verified token; `signature`: made with a key of the allowed-signers file, over this very gate of
 * this very run. Ordered from weak to strong.
 */
export const ASSURANCES = ['none', 'claimed', 'principal', 'signature'] as const;
/** One of {@link ASSURANCES}; its place there says how strong it is. */
export type Assurance = (typeof ASSURANCES)[number];

/** Gates that the kernel itself has in every runbook: somebody else looks at the corrected input of a step. */
export const CORRECTION_GATE = 'correction';
/** The configuration may hold a policy for these whatever the runbook is. */
export const KERNEL_GATES: readonly string[] = [CORRECTION_GATE];

/**
 * The hash of a plan, or its first 32 digits or more: 128 bits. Whoever brings both of two plans, say as corrections of one
 * input, finds two whose hashes begin with the same twelve digits within minutes.
 */
export const PLAN_HASH = /^[0-9a-f]{32,64}$/i;

/** Whether a hash that somebody gave is that of this plan, whole or as its first digits: see {@link PLAN_HASH}. */
export function namesPlan(given: string, planHash: string): boolean {
  return given === planHash || (PLAN_HASH.test(given) && planHash.startsWith(given.toLowerCase()));
}

const channelsSchema = z.array(z.string().min(1)).max(MOST_CHANNELS, `tells more than ${MOST_CHANNELS} channels; leave some out`).default([]);

const escalationSchema = z.strictObject({
  /** Counted from the opening of the gate. */
  after: durationMs,
  /** Who may decide too from then on. */
  approvers: z.array(z.string().min(1)).default([]),
  /** Channels that are told, beside those of the gate. */
  notify: channelsSchema,
});

/** A guardian looks after its run while that waits, and its history has an end. */
const LONGEST_GATE_MS = 90 * 24 * 3_600_000;

/** Who decides at a gate, until when, and who is told. */
export const gatePolicySchema = z.strictObject({
  /** Names that may decide; `@group` stands for those in it. Empty: anyone may, at the assurance that is asked for. */
  approvers: z.array(z.string().min(1)).default([]),
  quorum: z.number().int().min(1).default(1),
  /** So many rejections close the gate. */
  rejections: z.number().int().min(1).default(1),
  requesterMayApprove: z.boolean().default(false),
  /** The weakest proof of identity that counts. */
  assurance: z.enum(ASSURANCES).default('claimed'),
  /** How long the gate stays open. */
  expiresAfter: durationMs.refine((ms) => ms <= LONGEST_GATE_MS, 'is longer than a gate can stay open: 90d').default(24 * 3_600_000),
  /** What an expired gate means. */
  onExpiry: z.enum(['reject', 'approve']).default('reject'),
  /** How long after its opening a gate can expire at the latest, whoever extends it; a week, or `expiresAfter` where that is longer. */
  extendUpTo: durationMs.refine((ms) => ms <= LONGEST_GATE_MS, 'is longer than a gate can stay open: 90d').optional(),
  /** Who has not decided is told again this often. */
  remindEvery: durationMs.optional(),
  escalation: z.array(escalationSchema).default([]),
  /** Channels that are told when the gate opens, and when it reminds. */
  notify: channelsSchema,
}).superRefine((gate, context) => {
  for (const [index, { after, approvers, notify }] of gate.escalation.entries()) {
    if (after >= gate.expiresAfter) context.addIssue({ code: 'custom', path: ['escalation', index, 'after'], message: 'comes only when the gate has expired already; make it shorter than expiresAfter' });
    if (approvers.length === 0 && notify.length === 0) context.addIssue({ code: 'custom', path: ['escalation', index], message: 'asks nobody and tells nobody; name approvers or channels' });
    if (approvers.length > 0 && gate.approvers.length === 0) context.addIssue({ code: 'custom', path: ['escalation', index, 'approvers'], message: 'anyone may decide from the beginning, since the gate names no approvers' });
  }
  if (gate.remindEvery !== undefined && gate.remindEvery < 60_000) context.addIssue({ code: 'custom', path: ['remindEvery'], message: 'is more often than people can stand; one minute is the least' });
  if (gate.extendUpTo !== undefined && gate.extendUpTo < gate.expiresAfter) context.addIssue({ code: 'custom', path: ['extendUpTo'], message: 'is shorter than expiresAfter' });
  const mistake = historyMistake(gate);
  if (mistake) context.addIssue({ code: 'custom', path: [mistake.path], message: mistake.message });
});
/** With its defaults; durations in milliseconds. Names are as the configuration has them, groups not resolved. */
export type GatePolicy = z.output<typeof gatePolicySchema>;

/** A decision as it goes into the evidence. */
export const decisionSchema = z.strictObject({
  at: z.string(),
  decision: z.enum(['approve', 'reject']),
  by: z.string().nullable(),
  /** Whose place the decision takes, where somebody decided for another. */
  onBehalfOf: z.string().nullable().default(null),
  assurance: z.enum(ASSURANCES),
  channel: z.enum(['signal', 'update']),
  /** What the client that sent it called itself: a name that it chose. Null where the run was not told. */
  identity: z.string().nullable().default(null),
  comment: z.string().nullable(),
  /** Whose the plan's hash is that it carries: `given` by whoever decided, `filledIn` by the client with that of the moment, `none`. Null from older code. */
  planSeen: z.enum(['given', 'filledIn', 'none']).nullable().default(null),
  /** The key that signed it, as `ssh-keygen -l` shows it; null without a signature. */
  key: z.string().nullable().default(null),
  counted: z.boolean(),
  /** Why it did not count, or counts no longer, as a sentence that says what to do; null when it does. */
  reason: z.string().nullable(),
});
/** Kept also where it did not count: then `reason` says why. */
export type Decision = z.output<typeof decisionSchema>;

/** What a gate did by itself while it was open, what operators did to it, that it could not check who requested the run, and that gates of its name before it are not told. */
export const gateEventSchema = z.strictObject({
  at: z.string(),
  event: z.enum(['reminded', 'escalated', 'extended', 'planChanged', 'policyChanged', 'requesterUnchecked', 'formerLeftOut']),
  detail: z.string(),
});
/** `detail` is a sentence for people; nothing is decided by it. */
export type GateEvent = z.output<typeof gateEventSchema>;
