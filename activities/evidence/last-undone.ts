import { newestEvidence } from './newest-evidence.ts';
import type { EvidenceStore } from './store.ts';

/** How many seconds undoing each step took in the newest evidence that knows it. */
export async function lastUndone(store: EvidenceStore, of: { runbook: string; target: string }): Promise<Record<string, number>> {
  const seconds: Record<string, number> = {};
  for await (const { compensations } of newestEvidence(store, of)) {
    for (const { step, outcome, startedAt, finishedAt } of compensations) {
      if (outcome === 'done') seconds[step] ??= (Date.parse(finishedAt) - Date.parse(startedAt)) / 1_000;
    }
  }
  return seconds;
}
