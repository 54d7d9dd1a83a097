import { newestEvidence } from './newest-evidence.ts';
import type { EvidenceStore } from './store.ts';

/** As many as a schedule of looks learns from. */
const TAKE = 10;

/** How long a step took in the newest runs of a runbook on a target that it came to its end in, in milliseconds, newest first. */
export async function pastSteps(store: EvidenceStore, { runbook, target, step }: { runbook: string; target: string; step: string }): Promise<number[]> {
  const found: number[] = [];
  for await (const { steps } of newestEvidence(store, { runbook, target })) {
    const done = steps.find(({ name, outcome, attempts }) => name === step && outcome === 'done' && attempts === 1);
    if (done?.finishedAt) found.push(Date.parse(done.finishedAt) - Date.parse(done.startedAt));
    if (found.length === TAKE) break;
  }
  return found;
}
