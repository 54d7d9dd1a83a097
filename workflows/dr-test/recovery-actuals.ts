import type { Recovery } from '../../contracts/evidence.ts';
import type { DrillPlan } from '../../contracts/dr-test.ts';
import type { LossResult, RecoverToEndResult, Replay } from '../../activities/dr-test/drill-activities.ts';
import type { Span } from '../procedure/run-state.ts';

/** Phases of a recovery in the order in which people think of them. */
const PHASE_OF_STEP: readonly [RegExp, string][] = [
  [/^(plan|plan once more|pre-flight)$/, 'locating'],
  [/^copy$/, 'copying'],
  [/^replay/, 'replaying'],
  [/^compare/, 'comparison'],
  [/^own checks$/, 'checks'],
  [/^application probe$/, 'probe'],
];

const PHASES = ['detection', 'human wait', 'waiting for the lock', 'locating', 'copying', 'replaying', 'promotion', 'comparison', 'checks', 'probe', 'orchestration'] as const;
type Phase = (typeof PHASES)[number];

/**
 * What a drill knows when it is measured. `startedAtMs`: the run's, since 1970; what activities
 * measured by their own clocks only splits steps.
 */
export interface ActualsInput {
  plan: DrillPlan;
  startedAtMs: number;
  timeline: readonly Span[];
  recovered: RecoverToEndResult;
  /** The replays before the one to the end. */
  replays: readonly Replay[];
  loss: LossResult;
  hostClockSkew: Recovery['hostClockSkew'];
}

/**
 * RTA and RPA of a drill, from durable time only. RTA runs from `declaredAt` to the end of the application probe (or of
 * the last step before it); what people did after that is no part of it. Its phases add up to it, and what no phase claims
 * is `orchestration`.
 */
export function recoveryActuals({ plan, startedAtMs, timeline, recovered, replays, loss, hostClockSkew }: ActualsInput): Recovery {
  const declaredAtMs = Date.parse(plan.declaredAt);
  const endMs = Math.max(startedAtMs, ...timeline.filter(({ kind, name }) => kind === 'step' && name !== 'measure').map((span) => span.finishedAtMs));
  const measured = timeline.filter((span) => span.finishedAtMs <= endMs);
  const phases = Object.fromEntries(PHASES.map((name) => [name, 0])) as Record<Phase, number>;
  phases.detection = Math.max(0, startedAtMs - declaredAtMs);
  for (const span of measured) phases[phaseOf(span)] += span.finishedAtMs - span.startedAtMs;
  // An activity's clock splits a step, it never adds to it: promotion is a part of the last replay's durable time, and what
  // was replayed once more after a wait is a part of all of them. Without comparison nothing would have waited.
  const repeatedSeconds = [...replays, recovered].reduce((sum, replay) => sum + (replay.repeatedSeconds ?? 0), 0);
  const repeated = Math.min(phases.replaying, repeatedSeconds * 1000);
  phases.comparison += repeated;
  phases.replaying -= repeated;
  const promotion = Math.min(phases.replaying, recovered.promotionSeconds * 1000);
  phases.promotion = promotion;
  phases.replaying -= promotion;
  const rtaMs = endMs - Math.min(declaredAtMs, startedAtMs);
  phases.orchestration = rtaMs - PHASES.filter((name) => name !== 'orchestration').reduce((sum, name) => sum + phases[name], 0);
  const waitMs = phases['human wait'];
  return {
    rtoSeconds: seconds(plan.objectives.rto),
    rpoSeconds: seconds(plan.objectives.rpo),
    rtaSeconds: rtaMs / 1000,
    rtaWithoutWaitSeconds: (rtaMs - waitMs) / 1000,
    rtaWithoutComparisonSeconds: (rtaMs - waitMs - phases.comparison) / 1000,
    rpaSeconds: loss.rpaSeconds,
    lostTransactions: loss.lostTransactions,
    phases: PHASES.map((name) => ({ name, seconds: Math.round(phases[name]) / 1000 })),
    recoveryPoint: { id: plan.recoveryPoint.id, takenAt: plan.recoveryPoint.takenAt, provider: plan.provider },
    rpaMethod: loss.method,
    clockSkewSeconds: loss.clockSkewSeconds,
    hostClockSkew,
  };
}

function phaseOf(span: Span): Phase {
  if (span.kind === 'gate' || span.kind === 'pause') return 'human wait';
  if (span.kind === 'lock') return 'waiting for the lock';
  return (PHASE_OF_STEP.find(([pattern]) => pattern.test(span.name))?.[1] ?? 'orchestration') as Phase;
}

function seconds(ms: number | undefined): number | null {
  return ms === undefined ? null : ms / 1000;
}
