import type { Evidence, Recovery } from '../../contracts/evidence.ts';
import { formatSeconds } from '../../contracts/quantities.ts';
import { leftBehind } from '../../contracts/record.ts';
import type { EarlierRun } from './earlier-runs.ts';
import { block, code, table, text } from './markdown.ts';
import { headline, startedBy } from './report.ts';
import { verdictParts } from './report-earlier.ts';
import { numeral, readable, secondsBetween } from './report-format.ts';
import { markdownFindings } from './report-markdown-findings.ts';
import { judgedRta, rtaMethod } from './report-recovery.ts';
import type { Standing } from './standing.ts';
import { shorten, timelineOf } from './report-timeline.ts';

/**
 * The evidence of a run in GitHub's Markdown, for a ticket or a pull request. Whatever was chosen by others shows as it is,
 * and makes nothing: see {@link text}. `earlier`: the runs before it, which are no part of the evidence.
 */
export function renderMarkdown(evidence: Evidence, earlier: readonly EarlierRun[], standing?: Standing): string {
  const parts = [`# ${standing?.holds === false ? standing.sentence : headline(evidence)}`, ...aboutStanding(standing), aboutRun(evidence), ...(evidence.recovery ? aboutRecovery(evidence, evidence.recovery) : []), '## Timeline', timeline(evidence), ...markdownFindings(evidence, earlier)];
  return `${parts.join('\n\n')}\n`;
}

function aboutStanding(standing: Standing | undefined): string[] {
  if (!standing) return [];
  const { holds, sentence, flaws, redacted } = standing;
  return [
    holds ? `The file that this was made of is ${text(sentence)}.` : flaws.map((flaw) => `- **${text(flaw)}**`).join('\n'),
    ...(redacted.length === 0 ? [] : [`Redacted, so not known: ${redacted.map(code).join(', ')}`]),
  ];
}

function aboutRun(evidence: Evidence): string {
  const { failure, verdict, chain } = evidence;
  const left = leftBehind(evidence);
  const fields: [string, string][] = [
    ['runbook', `${text(evidence.runbook)}${evidence.target === null ? '' : ` on ${text(evidence.target)}`}`],
    ['outcome', readable(evidence.outcome)],
    ['verdict', verdictParts(verdict).map(([name, value]) => `${name} **${readable(value)}**`).join(', ') || 'none'],
    ...(failure ? [['failure', `${code(failure.type)} ${text(failure.message)}`] satisfies [string, string]] : []),
    ...(left === null || failure?.type === 'TEARDOWN_FAILED' ? [] : [['**left behind**', text(left)] satisfies [string, string]]),
    ['workflow', text(evidence.workflowId)], ['run', text(evidence.runId)],
    ['requested by', text(evidence.requester ?? 'not named')], ['started by', text(startedBy(evidence))], ['reason', text(evidence.reason ?? 'not given')],
    ['started', evidence.startedAt], ['finished', `${evidence.finishedAt} (${formatSeconds(secondsBetween(evidence.startedAt, evidence.finishedAt))})`],
    ['code', text(chain.codeVersion)], ['plan hash', text(chain.planHash ?? 'none: the run ended before it had a plan')],
    ['written by', chain.writtenBy === 'run' ? 'the run itself' : 'its guardian: the run ended without writing its evidence'],
  ];
  return fields.map(([name, value]) => `- ${name}: ${value}`).join('\n');
}

function aboutRecovery(evidence: Evidence, recovery: Recovery): string[] {
  const { verdict } = evidence;
  const judged = judgedRta(evidence.plan, recovery);
  const sum = recovery.phases.reduce((seconds, phase) => seconds + phase.seconds, 0);
  const share = (seconds: number) => (sum > 0 ? `${((seconds / sum) * 100).toFixed(1)} %` : '');
  const objective = (seconds: number | null) => (seconds === null ? 'not set' : formatSeconds(seconds));
  return [
    '## Recovery time and recovery point',
    table(['', 'actual', 'objective', 'verdict'], [
      [`recovery time${judged.words}`, formatSeconds(judged.seconds), objective(recovery.rtoSeconds), `**${readable(verdict.rto ?? 'notJudged')}**`],
      ['recovery point', recovery.rpaSeconds === null ? 'not known' : formatSeconds(recovery.rpaSeconds), objective(recovery.rpoSeconds), `**${readable(verdict.rpo ?? 'notJudged')}**`],
    ]),
    [
      `- recovery time: in all ${formatSeconds(recovery.rtaSeconds)}, without waiting for people ${formatSeconds(recovery.rtaWithoutWaitSeconds)}, without waiting or comparison ${formatSeconds(recovery.rtaWithoutComparisonSeconds)}`,
      `- it is measured ${text(rtaMethod(evidence))}`,
      `- transactions lost: ${numeral(recovery.lostTransactions ?? Number.NaN)}`,
      `- the recovery point is measured by: ${text(recovery.rpaMethod)}`,
      `- restored: ${text(recovery.recoveryPoint.id)}, taken ${recovery.recoveryPoint.takenAt} (${text(recovery.recoveryPoint.provider)})`,
    ].join('\n'),
    '### Phases',
    table(['phase', 'time', 'share'], [...recovery.phases.map((phase) => [text(readable(phase.name)), formatSeconds(phase.seconds), share(phase.seconds)]), ['sum', formatSeconds(sum), '']]),
  ];
}

/** As many characters as the whole run has. */
const COLUMNS = 40;
const STROKES = { step: '█', gate: '░', failed: 'x', cancelled: '-', skipped: '-', waiting: '~' } as const;

/** Steps and gates from start to finish: when after the start, how long, and both to scale. */
function timeline(evidence: Evidence): string {
  const { total, bars } = timelineOf(evidence);
  if (bars.length === 0) return 'The run ended before its first step.';
  const lines = bars.map(({ kind, label, from, to }) => {
    const column = (seconds: number) => Math.round((Math.min(Math.max(seconds, 0), total) / total) * COLUMNS);
    const left = Math.min(column(from), COLUMNS - 1);
    // What took no time worth a character is there all the same.
    const bar = ' '.repeat(left) + STROKES[kind].repeat(Math.max(column(to) - left, 1));
    return `${formatSeconds(from).padStart(11)} ${formatSeconds(to - from).padStart(11)} |${bar.padEnd(COLUMNS)}| ${shorten(label)}`;
  });
  const heading = `${'starts at'.padStart(11)} ${'takes'.padStart(11)}  ${'to scale'.padEnd(COLUMNS)}`.trimEnd();
  return `${block([heading, ...lines])}\n\n${STROKES.step} step, ${STROKES.gate} gate: waiting for people, ${STROKES.failed} failed, \\${STROKES.waiting} waiting for an operator, ${STROKES.skipped} skipped or cancelled. ${formatSeconds(total)} from start to finish.`;
}
