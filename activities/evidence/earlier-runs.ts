import type { Evidence, Outcome, Verdict } from '../../contracts/evidence.ts';
import { newestEvidence } from './newest-evidence.ts';
import { judgedRta } from './report-recovery.ts';
import type { EvidenceStore } from './store.ts';

/** A run before another, as that one's report shows it. */
export interface EarlierRun {
  workflowId: string;
  runId: string;
  startedAt: string;
  outcome: Outcome;
  verdict: Verdict;
  /** The one that was held against the RTO, and which that is; null where nothing was recovered. */
  rta: { seconds: number; words: string } | null;
  rpaSeconds: number | null;
  /** What its evidence ends with; null where that has no chain. */
  head: string | null;
}

/** So many a report shows. */
const SHOWN = 10;

/**
 * The last runs of the same runbook on the same target that started before a run, the newest first. They are for its report
 * and no part of its evidence: what is in the store now, which may be another tomorrow.
 */
export async function earlierRuns(store: Pick<EvidenceStore, 'list' | 'get'>, { runbook, target, runId, startedAt, finishedAt }: Evidence): Promise<EarlierRun[]> {
  if (target === null) return [];
  const found = new Map<string, EarlierRun>();
  // Files keep no times when they are copied by hand, so more are looked at than are shown.
  for await (const evidence of newestEvidence(store, { runbook, target, writtenByMs: Date.parse(finishedAt), atMost: Infinity })) {
    if (evidence.runId !== runId && evidence.startedAt < startedAt) found.set(evidence.runId, earlierRunOf(evidence));
  }
  return [...found.values()].sort((a, b) => b.startedAt.localeCompare(a.startedAt)).slice(0, SHOWN);
}

function earlierRunOf({ workflowId, runId, startedAt, outcome, verdict, plan, recovery, chain }: Evidence): EarlierRun {
  return { workflowId, runId, startedAt, outcome, verdict, rta: recovery && judgedRta(plan, recovery), rpaSeconds: recovery?.rpaSeconds ?? null, head: chain.seal?.head ?? null };
}
