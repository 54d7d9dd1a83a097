import type { Evidence } from '../../contracts/evidence.ts';
import { newestEvidence } from './newest-evidence.ts';
import type { EvidenceStore } from './store.ts';

/** A run asks for this when it starts: older evidence than this is not read for what people like to know. */
const LOOK_AT = 10;

/** How many seconds undoing each step took in the newest evidence that knows it. */
export async function lastUndone(store: Pick<EvidenceStore, 'list' | 'get'>, of: { runbook: string; target: string }): Promise<Record<string, number>> {
  const seconds: Record<string, number> = {};
  for await (const evidence of newestEvidence(store, { ...of, lookAt: LOOK_AT })) {
    for (const [step, took] of undoneIn(evidence)) seconds[step] ??= took;
  }
  return seconds;
}

function undoneIn({ compensations }: Evidence): [string, number][] {
  return compensations.filter(({ outcome }) => outcome === 'done').map(({ step, startedAt, finishedAt }) => [step, (Date.parse(finishedAt) - Date.parse(startedAt)) / 1_000]);
}
