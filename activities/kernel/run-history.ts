import { WorkflowNotFoundError, type Client } from '@temporalio/client';
import { defaultPayloadConverter } from '@temporalio/common';
import type { temporal } from '@temporalio/proto';
import { answersOf } from './activity-end.ts';
import { describeIfKnown } from './describe-if-known.ts';
import { grpcCodeOf } from './grpc-code.ts';
import { listedById } from './listed.ts';
import { isLifeOf, latestRun } from './run-end.ts';
import { collect } from './ledger-entries.ts';
import { millis } from './event-time.ts';
import { GUARDIAN_TYPE } from '../../contracts/guardian.ts';
import type { StartedBy } from '../../contracts/evidence.ts';
import type { LedgerEntry, Owner } from '../../contracts/ledger.ts';
import { firstOf } from '../../contracts/whole-characters.ts';
import type { EvidenceFiles, KernelActivities, Ledger } from './kernel-activities.ts';

type HistoryEvent = temporal.api.history.v1.IHistoryEvent;

/** Type of the activity with which a run writes its evidence. */
const WRITE_EVIDENCE: keyof KernelActivities = 'writeEvidence';

/** gRPC's status code NOT_FOUND. */
const GRPC_NOT_FOUND = 5;

/** Clients choose their identity; evidence keeps so many characters of it. */
const KEPT_IDENTITY = 200;

/** As long as what a lost history had scheduled may go on: no step's heartbeat time-out is longer. */
const UNKNOWN_ACTIVITIES_MS = 60_000;

/**
 * Reads the ledger of a run, and of every run that it was reset or continued from, out of their histories. A run that
 * the server no longer has (its retention is over, or somebody deleted it) is named in `lost`: what it registered cannot
 * be undone, and the others can.
 */
export async function readLedger(client: Client, owner: Owner): Promise<Ledger> {
  return ledgerOf(await readLives(client, owner));
}

/** What the server still knows of a run and of those that it was reset or continued from. `histories`: by run id, the oldest first. */
export interface Lives { histories: ReadonlyMap<string, HistoryEvent[]>; lost: readonly string[]; newestStartedAtMs: number | undefined }

/** Reads every history of a run's lives once; see {@link readLedger}. */
export async function readLives(client: Client, owner: Owner): Promise<Lives> {
  const histories: [string, HistoryEvent[]][] = [];
  const lost: string[] = [];
  // The workflow id may be somebody else's by now.
  const newest = await latestRun(client, owner);
  if (!newest) lost.push(owner.firstExecutionRunId);
  const toRead = newest ? [newest.runId, ...(await besides(client, owner, newest.runId))] : [];
  const seen = new Set(toRead);
  for (let runId = toRead.shift(); runId !== undefined && histories.length < MOST_LIVES; runId = toRead.shift()) {
    const events = await historyIfKnown(client, owner.workflowId, runId);
    if (!events) lost.push(runId);
    histories.push([runId, events ?? []]);
    for (const earlier of earlierRuns(events ?? [])) {
      if (seen.has(earlier)) continue;
      seen.add(earlier);
      toRead.push(earlier);
    }
  }
  const began = new Map(histories.map(([runId, events]) => [runId, beganMs(events)]));
  histories.sort(([a], [b]) => (began.get(a) ?? 0) - (began.get(b) ?? 0));
  return { histories: new Map(histories), lost, newestStartedAtMs: newest?.startTime.getTime() };
}

/** More than anybody resets a run. */
const MOST_LIVES = 100;

/**
 * Lives that no history of the newest names: of a run that is reset once more, the server tells the new life nothing of what
 * the run had been reset to before. They are in its list of workflows, which is a little behind: one that acted has been in it for long.
 */
async function besides(client: Client, owner: Owner, newest: string): Promise<string[]> {
  if (newest === owner.firstExecutionRunId) return [];
  const found: string[] = [];
  for await (const { runId } of listedById(client, owner.workflowId)) {
    if (found.length === MOST_LIVES) break;
    const run = runId === newest ? undefined : await describeIfKnown(client, owner.workflowId, runId);
    if (run && isLifeOf(owner, run)) found.push(runId);
  }
  return found;
}

/** When what is its own of a life's history began: what comes before its reset is a copy. */
function beganMs(events: readonly HistoryEvent[]): number {
  const reset = events.findLast((event) => event.workflowTaskFailedEventAttributes?.baseRunId);
  return millis((reset ?? events[0])?.eventTime);
}

/** The ledger that is in the histories of a run's lives. */
export function ledgerOf({ histories, lost, newestStartedAtMs }: Lives): Ledger {
  const entries = new Map<string, LedgerEntry>();
  const attempts: Record<string, number> = {};
  // A former life ended when the present one began.
  const closedForMs = newestStartedAtMs === undefined ? 0 : Date.now() - newestStartedAtMs;
  let mayActForMs = lost.length > 0 ? Math.max(UNKNOWN_ACTIVITIES_MS - closedForMs, 0) : 0;
  for (const events of histories.values()) mayActForMs = Math.max(mayActForMs, collect(events, entries, attempts));
  return { entries: [...entries.values()], mayActForMs, attempts, lost: [...lost] };
}

/** @throws WorkflowNotFoundError for a history that the server no longer has; the SDK leaves that as gRPC says it */
export async function eventsOf(client: Client, workflowId: string, runId: string | undefined): Promise<HistoryEvent[]> {
  try {
    const { events } = await client.workflow.getHandle(workflowId, runId).fetchHistory();
    return events ?? [];
  } catch (error) {
    if (grpcCodeOf(error) !== GRPC_NOT_FOUND) throw error;
    throw new WorkflowNotFoundError((error as Error & { details?: string }).details || 'the server no longer has this history', workflowId, runId);
  }
}

/** Undefined where the server no longer has it. */
export async function historyIfKnown(client: Client, workflowId: string, runId: string | undefined): Promise<HistoryEvent[] | undefined> {
  return eventsOf(client, workflowId, runId).catch((error: unknown) => {
    if (!(error instanceof WorkflowNotFoundError)) throw error;
    return undefined;
  });
}

/** What one life of a run did, as its own history says. */
export interface Life {
  /** Where it wrote its evidence, on whatever host that was, which a directory would only say of its own; undefined when it never did. */
  written: EvidenceFiles | undefined;
  /** False where none of its tasks came to an end: it knows nothing, and the server does not ask it. */
  hasBegun: boolean;
}

/** @throws WorkflowNotFoundError when the server no longer has its history */
export async function lookAtLife(client: Client, workflowId: string, runId: string): Promise<Life> {
  const events = await eventsOf(client, workflowId, runId);
  const [result] = answersOf(events, WRITE_EVIDENCE)[0]?.payloads ?? [];
  return {
    // Older code wrote none.
    written: result ? { head: null, ...defaultPayloadConverter.fromPayload<Omit<EvidenceFiles, 'head'>>(result) } : undefined,
    hasBegun: events.some((event) => event.workflowTaskCompletedEventAttributes),
  };
}

/** Whether a life started its own guardian, or what a reset copied from a former life did. */
export function hadGuardian(events: readonly HistoryEvent[]): boolean {
  return events.some((event) => event.startChildWorkflowExecutionInitiatedEventAttributes?.workflowType?.name === GUARDIAN_TYPE);
}

/** What a client called itself, as far as evidence keeps it. */
export function identityOf(message: { identity?: string | null } | null | undefined): string {
  return firstOf(message?.identity ?? '', KEPT_IDENTITY);
}

function earlierRuns(events: HistoryEvent[]): string[] {
  return events.flatMap((event) => [
    event.workflowExecutionStartedEventAttributes?.continuedExecutionRunId,
    event.workflowTaskFailedEventAttributes?.baseRunId,
  ]).filter((runId): runId is string => typeof runId === 'string' && runId !== '');
}

/** Reads who started a run from its first event: unlike the requester in the input, nobody can leave that out. */
export async function readStarter(client: Client, run: { workflowId: string; runId: string }): Promise<StartedBy> {
  const { history } = await client.workflowService.getWorkflowExecutionHistory({ namespace: client.options.namespace, execution: run, maximumPageSize: 1 });
  const [event] = history?.events ?? [];
  if (!event?.workflowExecutionStartedEventAttributes) throw new Error(`the history of ${run.workflowId} does not begin with its start`);
  return { identity: identityOf(event.workflowExecutionStartedEventAttributes), principal: principalOf(event) };
}

/** Type of the name under which the server calls itself: what a batch job or a schedule does carries it, whoever asked for that. */
const SERVER_ITSELF = 'temporal';

/** The name, from a verified token, that the server stamped on an event: that of whoever made it write the event down. */
function principalOf({ principal }: HistoryEvent): string | null {
  return principal?.type === SERVER_ITSELF ? null : principal?.name || null;
}

/**
 * Who sent a signal, by the server's word. That is not always whose name is on it: a reset writes the signals again that
 * came after its point, under the name of whoever resets; and one without a name, which another workflow sent, gets that
 * of the worker with whose task it was written down. Neither is its sender.
 */
export function sendersIn(events: readonly HistoryEvent[]): (signal: HistoryEvent) => string | null {
  const isReset = (event: HistoryEvent) => Boolean(event.workflowTaskFailedEventAttributes?.baseRunId);
  const workers = new Set(events.filter((event) => event.workflowTaskCompletedEventAttributes ?? (event.workflowTaskFailedEventAttributes && !isReset(event))).map(principalOf));
  // In one pass: anybody can send a run any number of signals, and who reads its history must not stand still for them.
  const repeated = new Set<HistoryEvent>();
  let isBehindReset = false;
  for (const event of events) {
    if (isReset(event)) isBehindReset = true;
    else if (event.workflowTaskScheduledEventAttributes) isBehindReset = false;
    else if (isBehindReset && event.workflowExecutionSignaledEventAttributes) repeated.add(event);
  }
  return (signal) => {
    const principal = principalOf(signal);
    return repeated.has(signal) || workers.has(principal) ? null : principal;
  };
}
