import { newestEvidence } from './newest-evidence.ts';
import type { EvidenceStore } from './store.ts';

/** A run asks for this when it starts: what its runbook did before that is not read for what people like to know. */
const AT_MOST = 10;

/** How many seconds undoing each step took in the newest evidence that knows it. */
export async function lastUndone(store: EvidenceStore, of: { runbook: string; target: string }): Promise<Record<string, number>> {
  const seconds: Record<string, number> = {};
  for await (const { compensations } of newestEvidence(store, { ...of, atMost: AT_MOST })) {
    for (const { step, outcome, startedAt, finishedAt } of compensations) {
      if (outcome === 'done') seconds[step] ??= (Date.parse(finishedAt) - Date.parse(startedAt)) / 1_000;
    }
  }
  return seconds;
}
