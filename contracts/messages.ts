import { z } from 'zod';

/** What an `approve` or `reject` signal may carry; from the web UI's empty form it carries nothing at all. */
export const decisionSignalSchema = z
  .strictObject({ gate: z.string().optional(), by: z.string().min(1).optional(), comment: z.string().optional(), planHash: z.string().optional() })
  .optional();
export type DecisionSignal = z.output<typeof decisionSignalSchema>;

/** Argument of the `decide` update. Validated at once; refused with a sentence that says what to do. */
export const decideSchema = z.strictObject({
  gate: z.string(),
  decision: z.enum(['approve', 'reject']),
  by: z.string().min(1),
  comment: z.string().optional(),
  planHash: z.string().optional(),
});
export type Decide = z.output<typeof decideSchema>;

/** What `pause`, `resume` and `abort` may carry. */
export const operatorSchema = z.strictObject({ by: z.string().optional(), reason: z.string().optional() }).optional();
export type Operator = z.output<typeof operatorSchema>;

/** Names of the messages that every run understands. Users rely on them. */
export const SIGNALS = { approve: 'approve', reject: 'reject', pause: 'pause', resume: 'resume', abort: 'abort' } as const;
export const UPDATES = { decide: 'decide', pause: 'pause', resume: 'resume', abort: 'abort' } as const;
export const QUERIES = { progress: 'progress', plan: 'plan', compensations: 'compensations', record: 'record' } as const;

/** Messages between a run, its guardian and the lock of its target. Not for people. */
export const INTERNAL = { owned: 'owned', overdue: 'overdue', settled: 'settled', finish: 'finish', take: 'take', granted: 'granted', request: 'request', release: 'release' } as const;

/** Answer of the `progress` query. Times are RFC 3339 UTC. */
export interface Progress {
  runbook: string;
  target: string | null;
  requester: string | null;
  phase: string;
  startedAt: string;
  paused: boolean;
  openGate: { name: string; openedAt: string; expiresAt: string; planHash: string; approvers: string[]; quorum: number; assurance: string; refused: string[] } | null;
  steps: { name: string; outcome: 'running' | 'done' | 'failed' | 'cancelled' | 'waiting'; startedAt: string; finishedAt: string | null; summary: string | null }[];
}

/** An entry of the compensation ledger as the `compensations` query shows it. */
export interface CompensationView { id: string; step: string; title: string; when: 'failure' | 'always' }
