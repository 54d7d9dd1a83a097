import { shortHash } from '../../contracts/deciding.ts';
import type { Evidence, GateRecord } from '../../contracts/evidence.ts';
import { formatSeconds } from '../../contracts/quantities.ts';
import { costsWords } from './costs.ts';
import type { EarlierRun } from './earlier-runs.ts';
import { block, code, table, text } from './markdown.ts';
import { notVerifiedReasons } from './not-verified.ts';
import { EARLIER_NOTE, earlierRpa, earlierRta, verdictParts } from './report-earlier.ts';
import { numeral, readable, secondsBetween } from './report-format.ts';
import { deciderOf, EVENT_WORDS, expiryWords, operatorOf, planWords, policyWords } from './report-people.ts';
import { namesOf } from './store.ts';

/** Everything below the timeline, in Markdown: what was checked, decided, undone and destroyed, how it was before, and how to verify it. */
export function markdownFindings(evidence: Evidence, earlier: readonly EarlierRun[]): string[] {
  return [
    '## Checks', tableOr(['check', 'outcome', 'detail'], evidence.checks.map((check) => [text(check.name), `**${check.outcome}**`, text(check.detail)]), 'No check was made.'),
    '## Not verified, and why', listOr(notVerifiedReasons(evidence), 'Nothing is known that should have been verified and was not.'),
    '## Steps', tableOr(['step', 'outcome', 'time', 'attempts', 'summary'], evidence.steps.map((step) => [text(step.name), step.outcome, step.finishedAt === null ? '' : formatSeconds(secondsBetween(step.startedAt, step.finishedAt)), numeral(step.attempts), text(step.summary ?? '')]), 'The run ended before its first step.'),
    '## Gates', ...(evidence.gates.length === 0 ? ['No gate was opened.'] : evidence.gates.flatMap(aboutGate)),
    '## Operators', tableOr(['when', 'asked to', 'of', 'by', 'sent as', 'reason', 'with'], evidence.operations.map((entry) => [entry.at, readable(entry.operation), text(entry.of ?? 'the run'), text(operatorOf(entry)), entry.channel, text(entry.reason ?? ''), text(entry.detail ?? '')]), 'No operator asked for anything.'),
    ...(evidence.operationsLeftOut > 0 ? [`${evidence.operationsLeftOut} more are not listed.`] : []),
    ...(evidence.refused.length === 0 ? [] : ['## Refused', listOr([...evidence.refused, ...(evidence.refusedLeftOut > 0 ? [`${evidence.refusedLeftOut} more`] : [])], '')]),
    '## Compensations', tableOr(['what was undone', 'of step', 'outcome', 'time', 'detail'], evidence.compensations.map((entry) => [text(entry.title), text(entry.step), `**${readable(entry.outcome)}**`, formatSeconds(secondsBetween(entry.startedAt, entry.finishedAt)), text(entry.detail ?? '')]), 'Nothing had to be undone.'),
    '## Teardown', aboutTeardown(evidence),
    ...(evidence.costs ? ['## Costs', `- the copy has cost: ${text(costsWords(evidence.costs))}\n- ${text(evidence.costs.method)}`] : []),
    '## Earlier runs', ...aboutEarlier(earlier),
    '## How to verify', ...howToVerify(evidence),
  ];
}

function aboutGate(gate: GateRecord): string[] {
  const expiry = expiryWords(gate);
  const policy = policyWords(gate);
  return [
    `### Gate ${text(gate.name)}`,
    `**${gate.outcome}**, open ${gate.openedAt} to ${gate.closedAt ?? 'the end'}, plan ${code(shortHash(gate.planHash))}${expiry === null ? '' : `; ${expiry}`}`,
    ...(policy === null ? [] : [text(policy)]),
    ...(gate.events.length === 0 ? [] : [table(['when', 'the gate was', 'detail'], gate.events.map((entry) => [text(entry.at), EVENT_WORDS[entry.event], text(entry.detail)]))]),
    ...(gate.eventsLeftOut > 0 ? [`${gate.eventsLeftOut} more events, reminders mostly, are not listed.`] : []),
    tableOr(['when', 'decision', 'by', 'assurance', 'key', 'sent as', 'counted', 'comment'], gate.decisions.map((decision) => [
      text(decision.at), decision.decision, text(deciderOf(decision)), decision.assurance, decision.key === null ? '' : code(decision.key),
      `${decision.channel}${decision.identity ? ` from ${text(decision.identity)}` : ''}${planWords(decision) === null ? '' : `; ${planWords(decision)}`}`, decision.counted ? '**yes**' : `**no**: ${text(decision.reason ?? '')}`, text(decision.comment ?? ''),
    ]), 'Nobody decided.'),
    ...(gate.decisionsLeftOut > 0 ? [`${gate.decisionsLeftOut} more were refused.`] : []),
  ];
}

function aboutTeardown({ teardown }: Evidence): string {
  const wasNothing = teardown.outcome === 'notNeeded' && teardown.provenAbsent;
  return [
    `- **${readable(teardown.outcome)}**: ${wasNothing ? 'nothing was created' : teardown.provenAbsent ? 'absence proven' : '**absence not proven**'}`,
    ...(teardown.leaseExpiresAt === null ? [] : [`- the lease ends ${teardown.leaseExpiresAt}`]),
    ...(teardown.failure === null ? [] : [`- ${text(teardown.failure)}`]),
    ...teardown.destroyed.map((thing) => `- destroyed ${text(thing)}`),
    ...teardown.proofs.map((proof) => `- looked at ${proof.at} for ${proof.looked.map(text).join(', ')}: ${proof.found.length === 0 ? 'nothing there' : `**found** ${proof.found.map(text).join(', ')}`}`),
  ].join('\n');
}

function aboutEarlier(earlier: readonly EarlierRun[]): string[] {
  if (earlier.length === 0) return ['There is no evidence of an earlier run here.'];
  const rows = earlier.map((run) => [run.startedAt, readable(run.outcome), verdictParts(run.verdict).map(([name, value]) => `${name} ${readable(value)}`).join(', '), earlierRta(run), earlierRpa(run), run.head === null ? 'no chain' : code(run.head)]);
  return [table(['started', 'outcome', 'verdict', 'RTA', 'RPA', 'head'], rows), EARLIER_NOTE];
}

function howToVerify(evidence: Evidence): string[] {
  const { seal } = evidence.chain;
  if (!seal) return ['An older version wrote this evidence, without a chain: it cannot be verified.'];
  return [
    `This text proves nothing. The evidence that it was made of ends with the head ${code(seal.head)}${seal.signature ? `, and has a signature by the key ${code(seal.signature.key)}` : ', and is not signed'}. Where the result of the workflow, or a note made elsewhere, has that head too, the file is checked with:`,
    block([`runbook verify ${namesOf(evidence).evidence} --head ${seal.head}`], 'sh'),
  ];
}

function tableOr(headings: readonly string[], rows: readonly (readonly string[])[], otherwise: string): string {
  return rows.length === 0 ? otherwise : table(headings, rows);
}

function listOr(lines: readonly string[], otherwise: string): string {
  return lines.length === 0 ? otherwise : lines.map((line) => `- ${text(line)}`).join('\n');
}
