import { workflowInfo } from '@temporalio/workflow';
import type { Evidence, Outcome } from '../../contracts/evidence.ts';
import { evidenceOf, NOTHING_SETTLED } from '../../contracts/record.ts';
import type { EvidenceFiles } from '../../activities/kernel/kernel-activities.ts';
import { read, write } from './kernel-activities.ts';
import { settleThroughGuardian } from './ownership.ts';
import { enterPhase, setAttributes } from './presentation.ts';
import type { RunState } from './run-state.ts';

/** Ends a run: undo and tear down through the guardian, then the evidence. */
export async function closeRun(state: RunState, outcome: Outcome, failure: Evidence['failure']): Promise<EvidenceFiles> {
  state.closeOpenEntries(Date.now());
  // Not when the run is told to end: the step that it was paused before would begin.
  state.paused = false;
  const settlement = (await settleThroughGuardian(state, { outcome })) ?? NOTHING_SETTLED;
  enterPhase(state, 'evidence');
  const { attempts } = await read.readLedger({ owner: state.record.owner });
  for (const step of state.record.steps) step.attempts = attempts[step.name] ?? 1;
  const files = await write.writeEvidence({
    evidence: evidenceOf(state.record, { outcome, failure, settlement, runId: workflowInfo().runId, finishedAtMs: Date.now(), writtenBy: 'run' }),
  });
  setAttributes(state, { RunbookOutcome: outcome });
  enterPhase(state, outcome);
  return files;
}
