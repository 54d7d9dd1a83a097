import type { Evidence, Recovery } from '../../contracts/evidence.ts';
import { formatSeconds } from '../../contracts/quantities.ts';
import { leftBehind } from '../../contracts/record.ts';
import { costsWords } from '../../activities/evidence/costs.ts';
import type { EarlierRun } from '../../activities/evidence/earlier-runs.ts';
import { notVerifiedReasons } from '../../activities/evidence/not-verified.ts';
import { numeral, readable, secondsBetween } from '../../activities/evidence/report-format.ts';
import { earlierRpa, earlierRta, verdictParts } from '../../activities/evidence/report-earlier.ts';
import { deciderOf, EVENT_WORDS, expiryWords, operatorOf, planWords, policyWords } from '../../activities/evidence/report-people.ts';
import { judgedRta, rtaMethod } from '../../activities/evidence/report-recovery.ts';
import type { Standing } from '../../activities/evidence/standing.ts';
import { coloured, plain } from './output.ts';

/**
 * The evidence of a run as text for a terminal: phases, RTA against RTO, RPA against RPO and how they were measured,
 * every check, what was not verified and why, what was destroyed and how its absence was proven, and the runs before it.
 */
export function renderText(evidence: Evidence, { paths = {}, earlier = [], standing }: { paths?: { evidence?: string; report?: string }; earlier?: readonly EarlierRun[]; standing?: Standing } = {}): string {
  const { recovery } = evidence;
  const lines = [
    ...standingLines(standing),
    `${plain(evidence.runbook)}${evidence.target === null ? '' : ` on ${plain(evidence.target)}`}: ${toned(readable(evidence.outcome), evidence.outcome === 'succeeded' ? 'ok' : 'bad')}`,
    `${plain(evidence.workflowId)}, ${evidence.startedAt} to ${evidence.finishedAt} (${formatSeconds(secondsBetween(evidence.startedAt, evidence.finishedAt))})`,
    ...(evidence.failure ? [`${plain(evidence.failure.type)}: ${plain(evidence.failure.message)}`] : []),
    ...leftLines(evidence),
    ...verdictLines(evidence),
    ...(recovery ? recoveryLines(evidence, recovery) : stepLines(evidence)),
    ...gateLines(evidence),
    ...operationLines(evidence),
    ...refusedLines(evidence),
    ...section('Checks', evidence.checks.map((check) => `${word(check.outcome).padEnd(9)} ${plain(check.name)}: ${plain(check.detail)}`), 'none was made'),
    ...section('Not verified', notVerifiedReasons(evidence).map(plain), 'nothing that should have been verified was left out'),
    ...section('Undone', evidence.compensations.map((entry) => `${word(entry.outcome)} ${plain(entry.title)}${entry.detail === null ? '' : `: ${plain(entry.detail)}`}`), 'nothing had to be undone'),
    ...teardownLines(evidence),
    ...(evidence.costs ? section('Costs', [`${costsWords(evidence.costs)}: ${plain(evidence.costs.method)}`], '') : []),
    ...earlierLines(earlier),
    ...chainLines(evidence, standing),
    ...Object.entries(paths).filter(([, path]) => path !== undefined).map(([name, path], index) => `${index === 0 ? '\n' : ''}${name.padEnd(9)} ${plain(path)}`),
  ];
  return lines.join('\n');
}

function earlierLines(earlier: readonly EarlierRun[]): string[] {
  if (earlier.length === 0) return [];
  return section('Earlier runs', earlier.map((run) => [run.startedAt, word(run.outcome), ...verdictParts(run.verdict).map(([name, value]) => `${name} ${word(value)}`), `RTA ${earlierRta(run)}`, `RPA ${earlierRpa(run)}`, ...(run.head === null ? [] : [`head ${run.head.slice(0, 16)}`])].join('  ')), '');
}

/** What the file is worth comes first where it is worth nothing. */
function standingLines(standing: Standing | undefined): string[] {
  if (!standing) return [];
  return [
    ...(standing.holds ? [] : [coloured(standing.sentence, 'bad'), ...standing.flaws.map((flaw) => `  ${coloured(plain(flaw), 'bad')}`), '']),
    ...(standing.redacted.length === 0 ? [] : [`redacted, so not known: ${standing.redacted.map(plain).join(', ')}`, '']),
  ];
}

/** What the evidence ends with: who keeps the head elsewhere can tell whether a file is the one that was written. */
function chainLines({ chain: { seal } }: Evidence, standing: Standing | undefined): string[] {
  return seal ? section('Chain', [`head ${seal.head}`, seal.signature ? `with a signature by the key ${seal.signature.key}` : 'not signed: no evidence.signingKey is configured', ...(standing ? [coloured(standing.sentence, standing.holds ? 'unsure' : 'bad')] : [])], '') : [];
}

const TONES: Record<string, 'ok' | 'bad' | 'unsure'> = {
  sound: 'ok', met: 'ok', passed: 'ok', done: 'ok', approved: 'ok', notNeeded: 'ok', unsound: 'bad', missed: 'bad', failed: 'bad', rejected: 'bad',
};

function word(value: string): string {
  return toned(readable(value), TONES[value] ?? 'unsure');
}

function toned(text: string, tone: 'ok' | 'bad' | 'unsure'): string {
  return coloured(text, tone);
}

function section(title: string, lines: readonly string[], otherwise: string): string[] {
  return ['', title, ...(lines.length > 0 ? lines : [otherwise]).map((line) => `  ${line}`)];
}

/** A copy of production that may still be there is the first thing to know; its own failure has said so already. */
function leftLines(evidence: Evidence): string[] {
  const left = leftBehind(evidence);
  return left === null || evidence.failure?.type === 'TEARDOWN_FAILED' ? [] : [`${toned('TEARDOWN FAILED', 'bad')}: ${plain(left)}`];
}

function verdictLines({ verdict }: Evidence): string[] {
  const words = verdictParts(verdict).map(([name, value]) => `${name} ${word(value)}`);
  return words.length > 0 ? [`verdict: ${words.join(', ')}`] : [];
}

function recoveryLines({ plan, verdict, checks }: Evidence, recovery: Recovery): string[] {
  const width = Math.max(12, ...recovery.phases.map(({ name }) => readable(name).length));
  const row = (name: string, seconds: number) => `${plain(name).padEnd(width)} ${numeral(seconds, 3).padStart(12)} s`;
  const judged = judgedRta(plan, recovery);
  const sum = recovery.phases.reduce((total, { seconds }) => total + seconds, 0);
  const against = (name: string, objective: number | null, judged: string | null) => (objective === null ? `no ${name} is set` : `${name} ${formatSeconds(objective)}: ${judged === null ? 'not judged' : word(judged)}`);
  return [
    ...section('Phases', [...recovery.phases.map(({ name, seconds }) => row(readable(name), seconds)), row('sum', sum)], ''),
    ...section('Recovery time', [
      `RTA ${formatSeconds(judged.seconds)}${judged.words}; ${against('RTO', recovery.rtoSeconds, verdict.rto)}`,
      `in all ${formatSeconds(recovery.rtaSeconds)}, without waiting for people ${formatSeconds(recovery.rtaWithoutWaitSeconds)}, without waiting or comparison ${formatSeconds(recovery.rtaWithoutComparisonSeconds)}`,
      `measured: ${rtaMethod({ plan, checks })}`,
    ], ''),
    ...section('Recovery point', [
      `RPA ${recovery.rpaSeconds === null ? 'not known' : formatSeconds(recovery.rpaSeconds)}${recovery.lostTransactions === null ? '' : `, ${numeral(recovery.lostTransactions)} transactions lost`}; ${against('RPO', recovery.rpoSeconds, verdict.rpo)}`,
      `measured: ${plain(recovery.rpaMethod)}`,
      `restored: ${plain(recovery.recoveryPoint.id)}, taken ${recovery.recoveryPoint.takenAt} (${plain(recovery.recoveryPoint.provider)})`,
    ], ''),
  ];
}

function stepLines({ steps }: Evidence): string[] {
  return section('Steps', steps.map((step) => `${word(step.outcome)} ${plain(step.name)}${step.finishedAt === null ? '' : ` ${formatSeconds(secondsBetween(step.startedAt, step.finishedAt))}`}${step.summary === null ? '' : `: ${plain(step.summary)}`}`), 'the run ended before its first step');
}

function gateLines({ gates }: Evidence): string[] {
  if (gates.length === 0) return [];
  return section('Gates', gates.flatMap((gate) => [
    `${plain(gate.name)}: ${word(gate.outcome)}${expiryWords(gate) === null ? '' : `; ${expiryWords(gate)}`}`,
    ...(policyWords(gate) === null ? [] : [`  ${plain(policyWords(gate) ?? '')}`]),
    ...gate.events.map(({ at, event, detail }) => `  ${plain(at)} ${EVENT_WORDS[event]}: ${plain(detail)}`),
    ...(gate.eventsLeftOut > 0 ? [`  ${gate.eventsLeftOut} more events, reminders mostly, are not listed`] : []),
    ...gate.decisions.map((decision) => `  ${decision.decision} by ${plain(deciderOf(decision))} (${decision.assurance}${decision.key === null ? '' : `, ${plain(decision.key)}`}${planWords(decision) === null ? '' : `, ${planWords(decision)}`}) ${decision.counted ? 'counted' : `did not count: ${plain(decision.reason ?? '')}`}`),
  ]), '');
}

function operationLines({ operations, operationsLeftOut }: Evidence): string[] {
  if (operations.length === 0) return [];
  return section('Operators', [...operations.map((entry) => `${entry.at} ${readable(entry.operation)}${entry.of === null ? '' : ` of ${plain(entry.of)}`} by ${plain(operatorOf(entry))}${entry.reason === null ? '' : `: ${plain(entry.reason)}`}${entry.detail === null ? '' : ` (${plain(entry.detail)})`}`), ...(operationsLeftOut > 0 ? [`${operationsLeftOut} more are not listed`] : [])], '');
}

function refusedLines({ refused, refusedLeftOut }: Evidence): string[] {
  if (refused.length === 0) return [];
  return section('Refused', [...refused.map(plain), ...(refusedLeftOut > 0 ? [`${refusedLeftOut} more`] : [])], '');
}

function teardownLines({ teardown }: Evidence): string[] {
  return section('Teardown', [
    teardown.outcome === 'notNeeded' && teardown.provenAbsent
      ? `${word(teardown.outcome)}: nothing was created`
      : `${word(teardown.outcome)}, ${teardown.provenAbsent ? toned('absence proven', 'ok') : toned('absence not proven', 'bad')}`,
    ...(teardown.failure === null ? [] : [plain(teardown.failure)]),
    ...teardown.destroyed.map((thing) => `destroyed ${plain(thing)}`),
    ...teardown.proofs.map((proof) => `looked at ${proof.at} for ${proof.looked.map(plain).join(', ')}: ${proof.found.length === 0 ? 'nothing there' : `found ${proof.found.map(plain).join(', ')}`}`),
  ], '');
}
