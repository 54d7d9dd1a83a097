import { formatSeconds } from '../../contracts/quantities.ts';
import { isOver } from '../../contracts/run-status.ts';
import { RUNBOOKS } from '../../contracts/runbooks.ts';
import { readable } from '../../activities/evidence/report-format.ts';
import { judgedRta } from '../../activities/evidence/report-recovery.ts';
import type { Teardown, Verdict } from '../../contracts/evidence.ts';
import { isUnanswered, loadIfThere, withClient, type Connected } from './connect.ts';
import { listEvidence, type StoredEvidence } from './evidence-files.ts';
import { CommandError, EXIT, type ExitCode } from './exit.ts';
import type { TemporalOptions } from './options.ts';
import { coloured, note, plain, print, table } from './output.ts';
import { ourCommand } from './printed-command.ts';

/** So many of the newest are listed, whoever knows of them. */
export interface RunsOptions extends TemporalOptions { limit: number }

/** One line of `runbook runs`. */
export interface RunRow {
  workflowId: string;
  runId: string;
  runbook: string;
  target: string | null;
  startedAt: string;
  seconds: number | null;
  outcome: string;
  verdict: Verdict | null;
  /** Of the evidence; null where it is not here. */
  teardown: Teardown['outcome'] | null;
  /** With everything. */
  rtaSeconds: number | null;
  /** The one that the verdict is about; null where only the server knows of the run. */
  judgedRta: { seconds: number; words: string } | null;
  rpaSeconds: number | null;
  evidence: string | null;
}

/**
 * `runbook runs`: what the server knows, with verdicts from the evidence. Servers forget closed runs after their
 * retention; the evidence directory does not, so its runs are listed too.
 */
export async function runs(options: RunsOptions): Promise<ExitCode> {
  const loaded = await loadIfThere(options.config);
  const stored = loaded ? await listEvidence(loaded.configuration.evidence.directory) : { found: [], unreadable: [] };
  for (const file of stored.unreadable) note(`${file} is not evidence of a run; it is left out`);
  let fromServer: RunRow[] = [];
  try {
    fromServer = await withClient(options, (connected) => listFromServer(connected, options.limit));
  } catch (error) {
    const isSilent = (error instanceof CommandError && error.exitCode === EXIT.unreachable) || isUnanswered(error);
    if (!isSilent || !loaded) throw error;
    note(`${(error as Error).message}. This list is from ${loaded.configuration.evidence.directory} alone.`);
  }
  const rows = mergeRows(fromServer, stored.found).slice(0, options.limit);
  print(options, rows, () => (rows.length === 0 ? [`There are no runs yet. Start one with: ${ourCommand(options, 'start', 'dr-test')}`] : table(['STARTED', 'RUN', 'OUTCOME', 'VERDICT', 'RTA', 'RPA', 'TOOK'], rows.map(cells))));
  return EXIT.done;
}

async function listFromServer({ client }: Connected, limit: number): Promise<RunRow[]> {
  const rows: RunRow[] = [];
  // By type and not by our search attributes: a server that refused those still lists the runs.
  const query = `WorkflowType IN (${Object.keys(RUNBOOKS).map((type) => `"${type}"`).join(', ')})`;
  for await (const run of client.workflow.list({ query, pageSize: Math.min(limit, 1_000) })) {
    const attribute = (name: string): unknown => run.searchAttributes?.[name]?.[0]; // oxlint-disable-line typescript/no-deprecated -- typed keys would need every attribute to be registered
    const numberOf = (name: string) => (typeof attribute(name) === 'number' ? (attribute(name) as number) : null);
    const outcome = attribute('RunbookOutcome');
    const target = attribute('RunbookTarget');
    rows.push({
      workflowId: run.workflowId, runId: run.runId, runbook: run.type,
      target: typeof target === 'string' ? target : null,
      startedAt: run.startTime.toISOString(),
      seconds: run.closeTime ? (run.closeTime.getTime() - run.startTime.getTime()) / 1_000 : null,
      outcome: typeof outcome === 'string' && isOver(run.status.name) ? outcome : run.status.name.toLowerCase(),
      verdict: null, teardown: null, rtaSeconds: numberOf('RunbookRtaSeconds'), judgedRta: null, rpaSeconds: numberOf('RunbookRpaSeconds'), evidence: null,
    });
    if (rows.length >= limit) break;
  }
  return rows;
}

/** Puts both lists together: evidence says more about a run than the server does. Newest first. */
export function mergeRows(fromServer: readonly RunRow[], stored: readonly StoredEvidence[]): RunRow[] {
  const rows = new Map(fromServer.map((row) => [row.runId, row]));
  for (const { file, evidence } of stored) {
    rows.set(evidence.runId, {
      workflowId: evidence.workflowId, runId: evidence.runId, runbook: evidence.runbook, target: evidence.target, startedAt: evidence.startedAt,
      seconds: (Date.parse(evidence.finishedAt) - Date.parse(evidence.startedAt)) / 1_000,
      outcome: evidence.outcome, verdict: evidence.verdict, teardown: evidence.teardown.outcome,
      rtaSeconds: evidence.recovery?.rtaSeconds ?? null, judgedRta: evidence.recovery && judgedRta(evidence.plan, evidence.recovery), rpaSeconds: evidence.recovery?.rpaSeconds ?? null, evidence: file,
    });
  }
  return [...rows.values()].sort((a, b) => b.startedAt.localeCompare(a.startedAt));
}

function cells(row: RunRow): string[] {
  const seconds = (value: number | null) => (value === null ? '-' : formatSeconds(value));
  return [row.startedAt.slice(0, 19).replace('T', ' '), plain(row.workflowId), plain(row.outcome), verdictWords(row), row.judgedRta ? `${formatSeconds(row.judgedRta.seconds)}${row.judgedRta.words}` : seconds(row.rtaSeconds), seconds(row.rpaSeconds), row.seconds === null ? coloured('running', 'soft') : formatSeconds(row.seconds)];
}

function verdictWords({ verdict, teardown }: RunRow): string {
  if (!verdict) return '-';
  const words = [teardown === 'failed' && 'teardown failed', verdict.restore, verdict.rto && `RTO ${readable(verdict.rto)}`, verdict.rpo && `RPO ${readable(verdict.rpo)}`];
  return words.filter((word) => typeof word === 'string').map((word) => (word === 'notProven' ? 'not proven' : word)).join(', ') || '-';
}
