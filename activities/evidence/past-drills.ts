import type { DrillPlan } from '../../contracts/dr-test.ts';
import type { Evidence } from '../../contracts/evidence.ts';
import type { PastDrill } from '../dr-test/dependencies.ts';
import { newestEvidence } from './newest-evidence.ts';
import type { EvidenceStore } from './store.ts';

/** How many drills a prediction is made from. */
const TAKE = 5;

/** Sizes and times of the newest drills of a target that were not found unsound, from the evidence in a store. */
export async function pastDrills(store: EvidenceStore, target: string): Promise<PastDrill[]> {
  const found: PastDrill[] = [];
  for await (const evidence of newestEvidence(store, { runbook: 'dr-test', target })) {
    const drill = drillOf(evidence);
    if (drill) found.push(drill);
    if (found.length === TAKE) break;
  }
  return found;
}

function drillOf({ verdict, recovery, plan }: Evidence): PastDrill | undefined {
  const bytes = (plan as Partial<DrillPlan> | null)?.predicted?.bytes;
  if (verdict.restore === 'unsound' || !recovery || typeof bytes !== 'number') return undefined;
  const waits = ['detection', 'human wait', 'waiting for the lock'];
  const seconds = recovery.phases.filter((phase) => !waits.includes(phase.name)).reduce((sum, phase) => sum + phase.seconds, 0);
  return { bytes, seconds };
}
