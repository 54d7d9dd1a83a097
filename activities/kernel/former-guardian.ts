import type { Client, WorkflowExecutionDescription } from '@temporalio/client';
import type { temporal } from '@temporalio/proto';
import { GUARDIAN_TYPE, guardianId } from '../../contracts/guardian.ts';
import { ownedSchema, settledSchema, takeSchema } from '../../contracts/internal-messages.ts';
import type { Owner } from '../../contracts/ledger.ts';
import { INTERNAL } from '../../contracts/messages.ts';
import { leftBehind, type Settlement } from '../../contracts/record.ts';
import { isOver } from '../../contracts/run-status.ts';
import { describeIfKnown } from './describe-if-known.ts';
import { firstArgument } from './first-argument.ts';
import type { DeadRun, FormerGuardian, KernelActivities, Unsettled } from './kernel-activities.ts';
import { historyIfKnown, ledgerOf, millis, readLives } from './run-history.ts';

type HistoryEvent = temporal.api.history.v1.IHistoryEvent;

/** `besides`: the run id of the guardian that asks, where one does. */
interface Question { owner: Owner; besides?: string | undefined }

/**
 * Who guarded what a run and its former lives did, and what of that nobody has settled, out of their histories and those of
 * their guardians. See {@link KernelActivities.findFormerGuardian}.
 */
export async function findFormerGuardian(client: Client, { owner, besides }: Question): Promise<FormerGuardian> {
  const id = guardianId(owner);
  const newest = await describeIfKnown(client, id);
  if (newest && newest.runId !== besides && !isOver(newest.status.name)) return { state: 'lives', unsettled: null, left: null, lost: [] };
  const lives = await readLives(client, owner);
  const events = [...lives.histories.values()].flat();
  const guardians = await describeAll(client, id, [...events.flatMap(startedGuardian), ...(newest ? [newest.runId] : [])], besides);
  const told = await Promise.all(guardians.map(async ({ runId }) => settlementIn(await historyIfKnown(client, id, runId) ?? [])));
  const last = told.filter((one) => one !== undefined).sort((a, b) => a.atMs - b.atMs).at(-1);
  const taken = events.map(takeIn).filter((take) => take !== undefined).filter(({ atMs }) => atMs > (last?.atMs ?? 0)).sort((a, b) => a.atMs - b.atMs);
  const { entries, lost = [] } = ledgerOf(lives);
  const left = last && leftBehind(last.settlement) !== null ? last.settlement : null;
  const latest = taken.at(-1);
  // What came when a guardian was over already reached nobody.
  if (latest && guardians.some(({ closeTime }) => closeTime && closeTime.getTime() >= latest.atMs)) {
    const byFormerLife = ![...lives.histories.values()].at(-1)?.some(takeIn);
    return { state: 'endedByForce', unsettled: { place: latest.take.place, ...fenceIn(events, last?.atMs ?? 0), byFormerLife }, left, lost: [...lost] };
  }
  // The server knows what the run did, and none who guarded it: whether that was undone, nobody can say.
  if (guardians.length === 0 && entries.length > 0) return { state: 'endedByForce', unsettled: null, left, lost: [...lost] };
  // Guardians are in histories: where one is lost, another may have been.
  return { state: 'none', unsettled: null, left, lost: guardians.length === 0 ? [...lost] : [] };
}

async function describeAll(client: Client, id: string, runIds: readonly string[], besides: string | undefined): Promise<WorkflowExecutionDescription[]> {
  const known = await Promise.all([...new Set(runIds)].filter((runId) => runId !== besides).map((runId) => describeIfKnown(client, id, runId)));
  return known.filter((one) => one !== undefined);
}

function startedGuardian({ childWorkflowExecutionStartedEventAttributes: started }: HistoryEvent): string[] {
  const runId = started?.workflowType?.name === GUARDIAN_TYPE ? started.workflowExecution?.runId : undefined;
  return runId ? [runId] : [];
}

/** The place that a run told its guardian to open. */
function takeIn(event: HistoryEvent): { take: { place: Unsettled['place'] }; atMs: number } | undefined {
  const sent = event.signalExternalWorkflowExecutionInitiatedEventAttributes;
  const take = sent?.signalName === INTERNAL.take ? takeSchema.safeParse(firstArgument(sent.input)).data : undefined;
  return take && { take, atMs: millis(event.eventTime) };
}

/** The fence that a run was given last. */
function fenceIn(events: readonly HistoryEvent[], sinceMs: number): Pick<Unsettled, 'fence'> {
  const fences = events.flatMap((event) => {
    const received = event.workflowExecutionSignaledEventAttributes;
    const fence = received?.signalName === INTERNAL.owned && millis(event.eventTime) > sinceMs ? ownedSchema.safeParse(firstArgument(received.input)).data?.fence : undefined;
    return fence === undefined ? [] : [fence];
  });
  return fences.length === 0 ? {} : { fence: Math.max(...fences) };
}

const WRITE: keyof KernelActivities = 'writeEvidenceOfDeadRun';

/** What a guardian had settled when it told its run so, or began to write it down: whatever became of it then, that was done. */
function settlementIn(events: readonly HistoryEvent[]): { settlement: Settlement; atMs: number } | undefined {
  for (const event of events.toReversed()) {
    const sent = event.signalExternalWorkflowExecutionInitiatedEventAttributes;
    const scheduled = event.activityTaskScheduledEventAttributes;
    const settlement = sent?.signalName === INTERNAL.settled ? settledSchema.safeParse(firstArgument(sent.input)).data
      : scheduled?.activityType?.name === WRITE ? (firstArgument(scheduled.input) as DeadRun).settlement : undefined;
    if (settlement) return { settlement, atMs: millis(event.eventTime) };
  }
  return undefined;
}
