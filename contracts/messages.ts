import { z } from 'zod';

/**
 * What a message carries goes into history and evidence, and anybody who can reach the server can send one: without a
 * bound, two messages could make evidence larger than the server takes, and the run could not end.
 */
const MESSAGE_LIMITS = { name: 200, text: 500 } as const;
const name = z.string().max(MESSAGE_LIMITS.name);
const text = z.string().max(MESSAGE_LIMITS.text);
/** For sentences that refuse a message. */
export const LIMITS_IN_WORDS = `names of at most ${MESSAGE_LIMITS.name} characters and other text of at most ${MESSAGE_LIMITS.text}`;

/** What an `approve` or `reject` signal may carry; from the web UI's empty form it carries nothing at all. */
export const decisionSignalSchema = z
  .strictObject({ gate: name.optional(), by: name.min(1).optional(), comment: text.optional(), planHash: name.optional() })
  .optional();
export type DecisionSignal = z.output<typeof decisionSignalSchema>;

/** Argument of the `decide` update. Validated at once; refused with a sentence that says what to do. */
export const decideSchema = z.strictObject({
  gate: name,
  decision: z.enum(['approve', 'reject']),
  by: name.min(1),
  comment: text.optional(),
  planHash: name.optional(),
});
export type Decide = z.output<typeof decideSchema>;

/** What `pause`, `resume` and `abort` may carry. */
export const operatorSchema = z.strictObject({ by: name.optional(), reason: text.optional() }).optional();
export type Operator = z.output<typeof operatorSchema>;

/** Names of the messages that every run understands. Users rely on them. */
export const SIGNALS = { approve: 'approve', reject: 'reject', pause: 'pause', resume: 'resume', abort: 'abort' } as const;
export const UPDATES = { decide: 'decide', pause: 'pause', resume: 'resume', abort: 'abort' } as const;
export const QUERIES = { progress: 'progress', plan: 'plan', compensations: 'compensations', record: 'record' } as const;

/** Messages between a run, its guardian and the lock of its target. Not for people. */
export const INTERNAL = { owned: 'owned', overdue: 'overdue', settled: 'settled', finish: 'finish', take: 'take', granted: 'granted', request: 'request', release: 'release' } as const;

/** A gate that waits for people. `note`: what they have to know of its policy; null mostly. */
interface OpenGateView { name: string; openedAt: string; expiresAt: string; planHash: string; approvers: string[]; quorum: number; assurance: string; note: string | null }

/** Decisions and messages that changed nothing, with the reason, in the order in which they came. */
export interface Refusals {
  /** The first of them. */
  refused: string[];
  /** How many more there were than {@link refused} keeps. */
  refusedLeftOut: number;
}

/** So many are shown where a run is: who sent something looks at once. */
const SHOWN_REFUSALS = 5;

/** The newest few that were kept, as lines, and how many more there were. */
export function refusalLines({ refused, refusedLeftOut }: Refusals): string[] {
  const more = Math.max(refused.length - SHOWN_REFUSALS, 0) + refusedLeftOut;
  return [...refused.slice(-SHOWN_REFUSALS), ...(more > 0 ? [`${more} more`] : [])].map((line) => `refused: ${line}`);
}

/** Answer of the `progress` query. Times are RFC 3339 UTC. */
export interface Progress extends Refusals {
  runbook: string;
  target: string | null;
  requester: string | null;
  phase: string;
  startedAt: string;
  paused: boolean;
  openGate: OpenGateView | null;
  steps: { name: string; outcome: 'running' | 'done' | 'failed' | 'cancelled' | 'waiting'; startedAt: string; finishedAt: string | null; summary: string | null }[];
}

/** An entry of the compensation ledger as the `compensations` query shows it. */
export interface CompensationView { id: string; step: string; title: string; when: 'failure' | 'always' }
