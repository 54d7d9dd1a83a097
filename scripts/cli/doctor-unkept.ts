import type { WorkflowExecutionInfo } from '@temporalio/client';
import { copyStores } from '../../activities/evidence/copy-stores.ts';
import { directoryStore } from '../../activities/evidence/directory-store.ts';
import { namesOf } from '../../activities/evidence/store.ts';
import { describeIfKnown } from '../../activities/kernel/describe-if-known.ts';
import { whoWrites, type Standing } from '../../activities/kernel/evidence-due.ts';
import { lookBackMs, retentionMs } from '../../activities/kernel/retention.ts';
import type { Configuration } from '../../contracts/configuration.ts';
import { guardianId } from '../../contracts/guardian.ts';
import { formatSeconds } from '../../contracts/quantities.ts';
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

/** `standing`: who writes its evidence in its place, where it was ended by force. Undefined: it wrote its own, or nobody asked. */
interface Unkept { run: WorkflowExecutionInfo; standing: Standing | undefined }

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
      const standing = index < ASKED ? await standingOf(connected, run) : undefined;
      if (standing?.state !== 'goes on' && standing?.state !== 'somebody is at it') ours.push({ run, standing });
    }
    if (ours.length === 0) findings.ok(NAME, `there is none among the ${looked} newest that the server knows`);
    else tell(findings, ours, await retentionMs(connected.client, connected.namespace).catch(() => null));
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
  for (const { run, standing } of unkept.toSorted((a, b) => closedAtMs(a.run) - closedAtMs(b.run)).slice(0, TOLD)) {
    const left = retention === null ? null : closedAtMs(run) + retention - Date.now();
    const until = left === null ? 'nobody knows how long the server still knows it' : left <= 0 ? 'the server may forget it at any moment' : `the server still knows it for ${formatSeconds(left / 1_000)}`;
    findings.warning(NAME, `the evidence of ${run.workflowId} (run ${run.runId}, ${run.status.name.toLowerCase()}) is on none of this host's stores; ${until}`,
      `${whereToFindIt(run, standing, lookBackMs(retention))} keep the history: \`temporal workflow show ${idsOf(run)} --output json\``);
  }
  if (unkept.length > TOLD) findings.warning(NAME, `${unkept.length - TOLD} more are without, closed later`, 'set evidence.copies to a place that all hosts with workers share');
}

/** A run that was ended by force has no result: what wrote its evidence is another workflow, and it may be still to come. */
function whereToFindIt(run: WorkflowExecutionInfo, standing: Unkept['standing'], seenToWithinMs: number): string {
  const copy = 'copy it here from the host that wrote it';
  const otherwise = '; where there is none,';
  if (!wasEndedByForce(run.status.name)) return `${copy}: \`temporal workflow result ${idsOf(run)}\` names the file${otherwise}`;
  if (standing?.state === 'written') return `${copy}: \`temporal workflow show --workflow-id ${quote(standing.by)} --output json\` names the file, in the result of the activity writeEvidenceOfDeadRun${otherwise}`;
  if (standing?.state === 'nobody' && standing.because !== null) return `nobody writes it: ${standing.because}; look by hand for what it may have left, and`;
  const isSeenTo = standing?.state === 'due' && Date.now() - closedAtMs(run) < seenToWithinMs;
  return (isSeenTo ? `start a worker within ${formatSeconds(seenToWithinMs / 1_000)} of its end, where none is up: it writes the evidence` : copy) + otherwise;
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

/** None is due of a run that goes on in what it was reset to, nor while somebody is still at it. */
async function standingOf({ client }: Pick<Connected, 'client'>, run: WorkflowExecutionInfo): Promise<Standing | undefined> {
  // A history that cannot be read keeps nobody from hearing of the others.
  if (wasEndedByForce(run.status.name)) return whoWrites(client, run).catch(() => undefined);
  const { workflowId, runId } = run;
  const described = await describeIfKnown(client, workflowId, runId);
  // Forgotten since it was listed.
  if (!described || described.raw.workflowExtendedInfo?.resetRunId) return { state: 'goes on' };
  // One whose guardian is forgotten already had time enough.
  const guardian = await describeIfKnown(client, guardianId({ workflowId, firstExecutionRunId: described.raw.workflowExecutionInfo?.firstRunId || runId }));
  return guardian && !isOver(guardian.status.name) ? { state: 'somebody is at it' } : undefined;
}
