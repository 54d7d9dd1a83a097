import { workflowInfo } from '@temporalio/workflow';
import { closeOpenEntries, endOf, evidenceOf, leftBehind, NOTHING_SETTLED, type End, type TeardownResult } from '../../contracts/record.ts';
import type { EvidenceFiles } from '../../activities/kernel/kernel-activities.ts';
import { write } from './kernel-activities.ts';
import { guard, settleThroughGuardian } from './ownership.ts';
import { enterPhase, setAttributes } from './presentation.ts';
import type { RunState } from './run-state.ts';
import { instantOf } from './wait.ts';
import { givenUp } from './undo-entries.ts';

/** A run that is undone and written down. Its end may be another than its body's: {@link endOf}. */
export interface Closed extends End { files: EvidenceFiles; teardown: TeardownResult }

/** Ends a run: undo and tear down through the guardian, then the evidence. */
export async function closeRun(state: RunState, bodyEnd: End): Promise<Closed> {
  closeOpenEntries(state.record, instantOf(Date.now()));
  // Not when the run is told to end: the step that it was paused before would begin.
  state.paused = false;
  state.isEnding = true;
  const undoAnyway = givenUp(state);
  const settled = await settleThroughGuardian(state, { outcome: bodyEnd.outcome, ...(undoAnyway.length > 0 ? { undoAnyway } : {}) });
  const settlement = settled ?? NOTHING_SETTLED;
  // What could be undone is, and an abort comes too late: what could not be is in the evidence.
  if (settled) {
    state.undo.splice(0);
    state.place = null;
  }
  const { outcome, failure } = endOf(bodyEnd, settlement);
  enterPhase(state, 'evidence');
  const files = await write.writeEvidence({
    owner: state.record.owner,
    evidence: evidenceOf(state.record, { outcome, failure, settlement, runId: workflowInfo().runId, finishedAtMs: Date.now(), writtenBy: 'run' }),
  }).catch(async (error: unknown) => {
    // Nobody else would try once more for a run that never needed a guardian.
    if (state.settings && !settled) {
      await guard(state);
      await settleThroughGuardian(state, { outcome });
    }
    throw error;
  });
  setAttributes(state, { RunbookOutcome: outcome });
  enterPhase(state, outcome);
  const { teardown } = settlement;
  return { outcome, failure, files, teardown: { outcome: teardown.outcome, provenAbsent: teardown.provenAbsent, left: leftBehind(settlement) } };
}
