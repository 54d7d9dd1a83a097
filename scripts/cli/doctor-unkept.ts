import type { WorkflowExecutionInfo } from '@temporalio/client';
import { copyStores } from '../../activities/evidence/copy-stores.ts';
import { directoryStore } from '../../activities/evidence/directory-store.ts';
import { formatSeconds } from '../../activities/evidence/report-format.ts';
import { namesOf } from '../../activities/evidence/store.ts';
import { describeIfKnown } from '../../activities/kernel/describe-if-known.ts';
import { LOOK_BACK_MS } from '../../activities/kernel/unguarded-ends.ts';
import type { Configuration } from '../../contracts/configuration.ts';
import { evidenceWriterId, guardianId } from '../../contracts/guardian.ts';
import { isOver, wasEndedByForce } from '../../contracts/run-status.ts';
import { RUNBOOKS } from '../../contracts/runbooks.ts';
import { TASK_QUEUE } from '../../contracts/search-attributes.ts';
import type { Connected } from './connect.ts';
import { Findings, messageOf, type Finding } from './doctor-finding.ts';
import { quote } from '../../contracts/quote.ts';

const NAME = 'runs without evidence here';
/** The newest runs that are looked for; the server is asked about each of those that have none, up to {@link ASKED}. */
const LOOKED_FOR = 1_000;
const ASKED = 100;
/** So many runs are told; the rest is counted. */
const TOLD = 10;
/** Workers see to the evidence of what was ended by force; until then nobody needs to hear that there is none. */
const SEEN_TO_WITHIN_MS = 60_000;
/** A run that was refused has no more: started, one task of three events, and its end. */
const EVENTS_OF_NOTHING = 5;

/** `writer`: the workflow that saw to its evidence in the run's place and is over, where the server still knows one. Undefined: nobody asked. */
interface Unkept { run: WorkflowExecutionInfo; writer: string | null | undefined }

/** Runs that are over, whose evidence is on none of this host's stores: once the server forgets them, nobody may know what they did. */
export async function examineUnkept(connected: Pick<Connected, 'client' | 'namespace'>, configuration: Pick<Configuration, 'evidence'>, nowMs = Date.now()): Promise<Finding[]> {
  const findings = new Findings('evidence');
  try {
    const kept = await keptNames(configuration);
    const unkept: WorkflowExecutionInfo[] = [];
    let looked = 0;
    for await (const run of closedRuns(connected)) {
      looked += 1;
      if (!kept.has(namesOf(run).evidence) && mayHaveEvidence(run, nowMs)) unkept.push(run);
      if (looked === LOOKED_FOR) break;
    }
    const ours: Unkept[] = [];
    for (const [index, run] of unkept.entries()) {
      const writer = index < ASKED ? await overWriterOf(connected, run) : undefined;
      if (writer !== 'none is due') ours.push({ run, writer: writer?.workflowId });
    }
    if (ours.length === 0) findings.ok(NAME, `there is none among the ${looked} newest that the server knows`);
    else tell(findings, ours, await retentionMs(connected));
  } catch (error) {
    findings.skipped(NAME, `the server does not list its runs, or the evidence cannot be listed: ${messageOf(error)}`);
  }
  return findings.all;
}

function mayHaveEvidence(run: WorkflowExecutionInfo, nowMs: number): boolean {
  return wasEndedByForce(run.status.name) ? nowMs - closedAtMs(run) > SEEN_TO_WITHIN_MS : run.historyLength > EVENTS_OF_NOTHING;
}

function closedAtMs({ closeTime }: WorkflowExecutionInfo): number {
  return closeTime?.getTime() ?? Date.now();
}

function tell(findings: Findings, unkept: readonly Unkept[], retention: number | null): void {
  // The one that is forgotten first comes first.
  for (const { run, writer } of unkept.toSorted((a, b) => closedAtMs(a.run) - closedAtMs(b.run)).slice(0, TOLD)) {
    const left = retention === null ? null : closedAtMs(run) + retention - Date.now();
    const until = left === null ? 'nobody knows how long the server still knows it' : left <= 0 ? 'the server may forget it at any moment' : `the server still knows it for ${formatSeconds(left / 1_000)}`;
    findings.warning(NAME, `the evidence of ${run.workflowId} (run ${run.runId}, ${run.status.name.toLowerCase()}) is on none of this host's stores; ${until}`,
      `${whereToFindIt(run, writer)}; where there is none, keep the history: \`temporal workflow show ${idsOf(run)} --output json\``);
  }
  if (unkept.length > TOLD) findings.warning(NAME, `${unkept.length - TOLD} more are without, closed later`, 'set evidence.copies to a place that all hosts with workers share');
}

/** A run that was ended by force has no result: what wrote its evidence is another workflow, and it may be still to come. */
function whereToFindIt(run: WorkflowExecutionInfo, writer: Unkept['writer']): string {
  const copy = 'copy it here from the host that wrote it';
  if (!wasEndedByForce(run.status.name)) return `${copy}: \`temporal workflow result ${idsOf(run)}\` names the file`;
  if (writer) return `${copy}: \`temporal workflow show --workflow-id ${quote(writer)} --output json\` names the file, in the result of the activity writeEvidenceOfDeadRun`;
  const isSeenTo = writer === null && Date.now() - closedAtMs(run) < LOOK_BACK_MS;
  return isSeenTo ? `start a worker within ${LOOK_BACK_MS / 3_600_000} h of its end, where none is up: it writes the evidence` : copy;
}

function idsOf({ workflowId, runId }: WorkflowExecutionInfo): string {
  return `--workflow-id ${quote(workflowId)} --run-id ${quote(runId)}`;
}

/** Names in the evidence directory and in its copies. A copy that cannot be listed is told elsewhere. */
async function keptNames({ evidence }: Pick<Configuration, 'evidence'>): Promise<Set<string>> {
  const lists = await Promise.all([directoryStore(evidence.directory).list(), ...copyStores({ evidence }).map((copy) => copy.list().catch(() => []))]);
  return new Set(lists.flat().map(({ name }) => name));
}

function closedRuns({ client }: Pick<Connected, 'client'>): AsyncIterable<WorkflowExecutionInfo> {
  const types = Object.keys(RUNBOOKS).map((type) => `"${type}"`).join(', ');
  // Not those that continued as new: their evidence is the last one's. Nor what was started on a queue that no worker of ours asks.
  return client.workflow.list({ query: `WorkflowType IN (${types}) AND TaskQueue = "${TASK_QUEUE}" AND ExecutionStatus IN ("Completed", "Failed", "Canceled", "Terminated", "TimedOut")`, pageSize: LOOKED_FOR });
}

/**
 * Which workflow saw to a run's evidence, besides the run; null where the server knows none. None is due of a run that goes
 * on in what it was reset to, nor while somebody is still at it.
 */
async function overWriterOf({ client }: Pick<Connected, 'client'>, { workflowId, runId }: WorkflowExecutionInfo): Promise<{ workflowId: string | null } | 'none is due'> {
  const described = await describeIfKnown(client, workflowId, runId);
  // Forgotten since it was listed.
  if (!described || described.raw.workflowExtendedInfo?.resetRunId) return 'none is due';
  const firstExecutionRunId = described.raw.workflowExecutionInfo?.firstRunId || runId;
  let over: string | null = null;
  for (const id of [guardianId({ workflowId, firstExecutionRunId }), evidenceWriterId({ workflowId, runId })]) {
    // One that had none, or whose writer is forgotten already, had time enough.
    const writer = await client.workflow.getHandle(id).describe().catch(() => undefined);
    if (writer && !isOver(writer.status.name)) return 'none is due';
    if (writer) over = id;
  }
  return { workflowId: over };
}

/** How long the server keeps a run after its end; null where it does not say. */
async function retentionMs({ client, namespace }: Pick<Connected, 'client' | 'namespace'>): Promise<number | null> {
  const { config } = await client.workflowService.describeNamespace({ namespace });
  const seconds = config?.workflowExecutionRetentionTtl?.seconds;
  return seconds === null || seconds === undefined ? null : Number(seconds) * 1_000;
}
