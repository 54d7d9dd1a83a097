import type { WorkflowExecutionInfo } from '@temporalio/client';
import { copyStores } from '../../activities/evidence/copy-stores.ts';
import { directoryStore } from '../../activities/evidence/directory-store.ts';
import { formatSeconds } from '../../activities/evidence/report-format.ts';
import { namesOf } from '../../activities/evidence/store.ts';
import { describeIfKnown } from '../../activities/kernel/describe-if-known.ts';
import type { Configuration } from '../../contracts/configuration.ts';
import { guardianId } from '../../contracts/guardian.ts';
import { isOver } from '../../contracts/run-status.ts';
import { RUNBOOKS } from '../../contracts/runbooks.ts';
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
    const ours: WorkflowExecutionInfo[] = [];
    for (const [index, run] of unkept.entries()) if (index >= ASKED || await shouldHaveEvidence(connected, run)) ours.push(run);
    if (ours.length === 0) findings.ok(NAME, `there is none among the ${looked} newest that the server knows`);
    else tell(findings, ours, await retentionMs(connected));
  } catch (error) {
    findings.skipped(NAME, `the server does not list its runs, or the evidence cannot be listed: ${messageOf(error)}`);
  }
  return findings.all;
}

function mayHaveEvidence({ status, historyLength, closeTime }: WorkflowExecutionInfo, nowMs: number): boolean {
  const byForce = status.name === 'TERMINATED' || status.name === 'TIMED_OUT';
  return byForce ? nowMs - (closeTime?.getTime() ?? 0) > SEEN_TO_WITHIN_MS : historyLength > EVENTS_OF_NOTHING;
}

function tell(findings: Findings, runs: readonly WorkflowExecutionInfo[], retention: number | null): void {
  // The one that is forgotten first comes first.
  const closed = ({ closeTime }: WorkflowExecutionInfo) => closeTime?.getTime() ?? Date.now();
  for (const run of runs.toSorted((a, b) => closed(a) - closed(b)).slice(0, TOLD)) {
    const left = retention === null ? null : closed(run) + retention - Date.now();
    const until = left === null ? 'nobody knows how long the server still knows it' : left <= 0 ? 'the server may forget it at any moment' : `the server still knows it for ${formatSeconds(left / 1_000)}`;
    const ids = `--workflow-id ${quote(run.workflowId)} --run-id ${quote(run.runId)}`;
    findings.warning(NAME, `the evidence of ${run.workflowId} (run ${run.runId}, ${run.status.name.toLowerCase()}) is on none of this host's stores; ${until}`,
      `copy it here from the host that wrote it: \`temporal workflow result ${ids}\` names the file; where there is none, keep the history: \`temporal workflow show ${ids} --output json\``);
  }
  if (runs.length > TOLD) findings.warning(NAME, `${runs.length - TOLD} more are without, closed later`, 'set evidence.copies to a place that all hosts with workers share');
}

/** Names in the evidence directory and in its copies. A copy that cannot be listed is told elsewhere. */
async function keptNames({ evidence }: Pick<Configuration, 'evidence'>): Promise<Set<string>> {
  const lists = await Promise.all([directoryStore(evidence.directory).list(), ...copyStores({ evidence }).map((copy) => copy.list().catch(() => []))]);
  return new Set(lists.flat().map(({ name }) => name));
}

function closedRuns({ client }: Pick<Connected, 'client'>): AsyncIterable<WorkflowExecutionInfo> {
  const types = Object.keys(RUNBOOKS).map((type) => `"${type}"`).join(', ');
  // Not those that continued as new: their evidence is the last one's.
  return client.workflow.list({ query: `WorkflowType IN (${types}) AND ExecutionStatus IN ("Completed", "Failed", "Canceled", "Terminated", "TimedOut")`, pageSize: LOOKED_FOR });
}

/** Not a run that goes on in what it was reset to, nor one whose guardian is still at it. */
async function shouldHaveEvidence({ client }: Pick<Connected, 'client'>, { workflowId, runId }: WorkflowExecutionInfo): Promise<boolean> {
  const described = await describeIfKnown(client, workflowId, runId);
  // Forgotten since it was listed.
  if (!described || described.raw.workflowExtendedInfo?.resetRunId) return false;
  const firstExecutionRunId = described.raw.workflowExecutionInfo?.firstRunId || runId;
  // One that had none, or whose guardian is forgotten already, had time enough.
  const guardian = await client.workflow.getHandle(guardianId({ workflowId, firstExecutionRunId })).describe().catch(() => undefined);
  return guardian === undefined || isOver(guardian.status.name);
}

/** How long the server keeps a run after its end; null where it does not say. */
async function retentionMs({ client, namespace }: Pick<Connected, 'client' | 'namespace'>): Promise<number | null> {
  const { config } = await client.workflowService.describeNamespace({ namespace });
  const seconds = config?.workflowExecutionRetentionTtl?.seconds;
  return seconds === null || seconds === undefined ? null : Number(seconds) * 1_000;
}
