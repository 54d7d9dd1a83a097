import { z } from 'zod';
import type { StepRecord } from './evidence.ts';
import { isName } from './people.ts';

/**
 * What a message carries goes into history and evidence, and anybody who can reach the server can send one: without a
 * bound, two messages could make evidence larger than the server takes, and the run could not end.
 */
const MESSAGE_LIMITS = { name: 200, text: 500 } as const;
const name = z.string().max(MESSAGE_LIMITS.name);
/** Somebody's name, where nothing else looks at it. */
const person = name.min(1).refine(isName);
const text = z.string().max(MESSAGE_LIMITS.text);
/** Why somebody does what has to have a reason. */
const why = text.refine((given) => given.trim() !== '');
/** In the armour of `ssh-keygen -Y sign`; those of the largest RSA keys have less than half of this. */
const signature = z.string().max(5_000);
/** For sentences that refuse a message. */
export const LIMITS_IN_WORDS = `names of at most ${MESSAGE_LIMITS.name} characters and other text of at most ${MESSAGE_LIMITS.text}; names and reasons that have to be given are not blank`;

/** What an `approve` or `reject` signal may carry; from the web UI's empty form it carries nothing at all. */
export const decisionSignalSchema = z
  .strictObject({ gate: name.optional(), by: name.min(1).optional(), comment: text.optional(), planHash: name.optional(), planHashFilledIn: z.boolean().optional(), signature: signature.optional() })
  .optional();
/** Undefined for an empty form: it decides at the gate that is open, in nobody's name. */
export type DecisionSignal = z.output<typeof decisionSignalSchema>;

/** Argument of the `decide` update. Validated at once; refused with a sentence that says what to do. */
export const decideSchema = z.strictObject({
  gate: name,
  decision: z.enum(['approve', 'reject']),
  /** Can be left out of one that is signed: whose key it is says who decided. */
  by: name.min(1).optional(),
  comment: text.optional(),
  planHash: name.optional(),
  /** The client put the hash of the present plan in: whoever decided did not name it. */
  planHashFilledIn: z.boolean().optional(),
  signature: signature.optional(),
}).refine(({ by, signature: signed }) => by !== undefined || signed !== undefined);
/** Without `by` it has a signature. */
export type Decide = z.output<typeof decideSchema>;

/** What `pause`, `resume` and `abort` may carry. */
export const operatorSchema = z.strictObject({ by: name.optional(), reason: text.optional() }).optional();
/** Undefined for an empty form. */
export type Operator = z.output<typeof operatorSchema>;

/** Argument of the `retryStep` update: a failed step that waits is tried again, with another input where it takes one. */
export const retryStepSchema = z.strictObject({ step: name, by: person, reason: why, input: z.unknown().optional() });
/** `input` is not checked here: the runbook's step says what it takes. */
export type RetryStep = z.output<typeof retryStepSchema>;

/** Argument of the `skipStep` update: goes on without a step that waits, where its runbook allows that. */
export const skipStepSchema = z.strictObject({ step: name, by: person, reason: why });
/** Both a name and a reason are given, and not blank. */
export type SkipStep = z.output<typeof skipStepSchema>;

/** Argument of the `extendDeadline` update: moves the expiry of the open gate to a later instant. */
export const extendDeadlineSchema = z.strictObject({ gate: name, until: z.iso.datetime({ offset: true }).max(40), by: name.min(1), reason: text.optional() });
/** `until` is an instant, RFC 3339 with any offset; whether the gate's policy goes that far is for the run to say. */
export type ExtendDeadline = z.output<typeof extendDeadlineSchema>;

/** Names of the messages that every run understands. Users rely on them. */
export const SIGNALS = { approve: 'approve', reject: 'reject', pause: 'pause', resume: 'resume', abort: 'abort' } as const;
/** They are validated and answer at once: what is refused is refused with a sentence, and leaves nothing in history. */
export const UPDATES = { decide: 'decide', pause: 'pause', resume: 'resume', retryStep: 'retryStep', skipStep: 'skipStep', abort: 'abort', extendDeadline: 'extendDeadline' } as const;
/** Answered as long as the server keeps the history and a worker is up, also when the run has ended. */
export const QUERIES = { progress: 'progress', plan: 'plan', compensations: 'compensations', record: 'record' } as const;

/** Messages between a run, its activities, its guardian and the lock of its target. Not for people. */
export const INTERNAL = { owned: 'owned', overdue: 'overdue', settled: 'settled', finish: 'finish', take: 'take', granted: 'granted', request: 'request', release: 'release', holders: 'holders', lastRecord: 'lastRecord', underWay: 'underWay' } as const;

/** Argument of the query {@link INTERNAL.lastRecord}, by which who asks says that the run is over. */
export interface LastRecord { isOver: true }

/** How a run refuses a query that met something which it has not taken up yet: whoever asks again is answered. */
export const NOT_TAKEN_UP = 'something has happened that this run has not taken up yet; ask again';

/** Whether a query was refused like that. */
export function isNotTakenUp(error: unknown): boolean {
  return error instanceof Error && error.message.includes(NOT_TAKEN_UP);
}

/** A gate that waits for people. `note`: what they have to know of its policy; null mostly. */
interface OpenGateView { name: string; openedAt: string; /** Since when it shows this plan; absent from a worker of older code. */ planShownAt?: string; expiresAt: string; /** To what instant it can be extended; absent from a worker of older code. */ latestExpiry?: string; planHash: string; approvers: string[]; quorum: number; assurance: string; note: string | null }

/** A step that failed, or that the run is paused before, and what an operator can do about it. */
interface WaitingStepView {
  name: string;
  /** Why it failed; null for one that has not begun. */
  failure: string | null;
  until: string;
  /** Whether `retryStep` may bring another input. */
  takesInput: boolean;
  /** What skipping it costs; null where it cannot be skipped. */
  skippingCosts: string | null;
}

/** Decisions and messages that changed nothing, with the reason, in the order in which they came. */
export interface Refusals {
  /** The first of them, and the newest. */
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

/** How many wait for a target before a run: all, where it is not in the queue yet. */
export function waitingBefore(waiting: readonly { workflowId: string }[], workflowId: string): number {
  const place = waiting.findIndex((one) => one.workflowId === workflowId);
  return place === -1 ? waiting.length : place;
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
  /** The step that waits for an operator; null mostly, absent from a worker of older code. */
  waitingStep?: WaitingStepView | null;
  /** Until when the run has its target at the latest; null as long as it has not. */
  lease?: { expiresAt: string } | null;
  /** While the run waits for its target: who has it, and how many wait before this run. */
  lock?: { holders: { workflowId: string; runbook: string; since: string }[]; before: number; lookedAt?: string } | null;
  steps: { name: string; outcome: StepRecord['outcome']; startedAt: string; finishedAt: string | null; summary: string | null }[];
}

/** An entry of the compensation ledger as the `compensations` query shows it. */
export interface CompensationView {
  id: string; step: string; title: string; when: 'failure' | 'always';
  /** How long it took the last time that a run of this runbook undid it on this target; null when that is not known. */
  lastSeconds: number | null;
}
