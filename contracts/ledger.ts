import { z } from 'zod';
import { isWorkflowId } from './workflow-id.ts';

/**
 * An activity to be called later, as plain data: the run that registered it may no longer exist when it is called.
 */
export interface ActivityCall {
  activity: string;
  input: unknown;
  taskQueue: string;
  startToCloseMs: number;
  heartbeatMs?: number;
}

/**
 * What undoes a step. It travels in the header of the step's own activities, so it is in the run's history before
 * any of them can act, and the guardian reads it from there, whatever became of the run.
 */
export interface UndoEntry {
  /** Unique within the run; the same step registers the same id again. With another content, as another input makes it, the kernel appends `#2` to it, and so on. */
  id: string;
  /** What the operator reads: what undoing does. */
  title: string;
  /** `failure`: only when the run does not succeed. `always`: also when it does (things that exist for the run only). A step that began and failed, and that the run went on without, is undone as with `always`. */
  when: 'failure' | 'always';
  call: ActivityCall;
}

/** The header that carries {@link StepHeader}, on activities of steps only; empty where there is nothing to add to the activity's summary. Short, since it is in the history once a step. */
export const STEP_HEADER = 'rb';

/** What undoes the step that an activity belongs to. `step`: its name, where the summary of the activity is another. */
export interface StepHeader { step?: string; undo?: UndoEntry }

/**
 * A ledger entry as found in history. `registeredAt`: when what it undoes was last begun, as far as history says. `endedAt`:
 * when that came to its end, or its life was closed with it under way; absent while it goes on. `declaredId`: the id that a life of the
 * run gave it, where another life had given that to something else, as one does that read other values.
 */
export interface LedgerEntry extends UndoEntry { step: string; registeredAt: string; endedAt?: string; declaredId?: string }

/** Id of the activity with which a guardian undoes an entry: by it, a later guardian finds in the history what was undone. */
export function undoActivityId(entryId: string): string {
  return `undo ${entryId}`;
}

/** What a former guardian has undone, and when. */
export interface Undone { activityId: string; startedAt: string; finishedAt: string; detail: string | null }

/** Where a run may create things: opened by the guardian under a fence number, and closed by it. */
export interface Place {
  /** What people read: `drill`, `backup in progress`. */
  title: string;
  /** Input of its calls is `{ ...input, fence, owner }`, of `open` with {@link PlaceCall.leaseMs}. */
  input: Record<string, unknown>;
  taskQueue: string;
  open: string;
  /** Revokes the fence: after it nothing can be created in the place. Removes whatever is left. Returns what it destroyed. */
  close: string;
  /** Looks whether anything is left; returns {@link AbsenceProof}. */
  prove: string;
}

/** A place, and the fence under which it was opened. */
export interface HeldPlace { place: Place; fence: number }

/** The arguments that the calls of a place get. `leaseMs`: to open it, how long the guardian keeps it from then on. One of older code does not say. */
export interface PlaceCall { fence: number; owner: Owner; leaseMs?: number; [key: string]: unknown }

/** The id of a workflow, as long as a server takes it. */
export const workflowIdSchema = z.string().min(1).refine(isWorkflowId);

/** Who owns: a workflow id and the first run id of its chain, so that a reset run is the same owner. */
export const ownerSchema = z.object({ workflowId: workflowIdSchema, firstExecutionRunId: z.string().min(1).max(200) });
/** Compared by both of its ids: another run of the same workflow id is another owner. */
export type Owner = z.output<typeof ownerSchema>;

/**
 * One look at what should be gone. `at`: RFC 3339, by the clock of the host that looked; `looked`:
 * where; `found`: what is left, and none means absent.
 */
export interface AbsenceProof { at: string; looked: string[]; found: string[] }
