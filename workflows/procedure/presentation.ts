import { setCurrentDetails, upsertSearchAttributes, log, workflowInfo } from '@temporalio/workflow';
import { defineSearchAttributeKey, type SearchAttributePair } from '@temporalio/common';
import { SEARCH_ATTRIBUTES, type SearchAttributeName } from '../../contracts/search-attributes.ts';
import type { PlanView } from '../../contracts/plan-facts.ts';
import { planLines } from '../../contracts/plan-lines.ts';
import type { UnderWay } from '../../contracts/under-way.ts';
import { refusalLines, waitingBefore, type CompensationView, type Progress } from '../../contracts/messages.ts';
import { correctionInWords } from './corrections.ts';
import { requesterUnchecked } from './gate-policy.ts';
import { planShownSinceMs } from './gate-record.ts';
import { approversAt, latestExpiry } from './ladder.ts';
import { inline } from './markdown.ts';
import type { AttributeValues, RunState } from './run-state.ts';
import { instantOf } from './wait.ts';

/**
 * Sets search attributes, those together that change at once: each time is an event. Those that the server does not know are
 * left out, since one of them would hang the run.
 */
export function setAttributes(state: RunState, values: AttributeValues): void {
  const known = state.settings?.searchAttributes ?? [];
  const changes = Object.entries(values).filter(([name]) => known.includes(name as SearchAttributeName));
  if (changes.length === 0) return;
  const isUnderWay = state.unsentAttributes !== undefined;
  state.unsentAttributes = { ...state.unsentAttributes, ...Object.fromEntries(changes) };
  // Still in the same task, which ends when nothing more is to be done at once.
  if (!isUnderWay) void Promise.resolve().then(() => sendAttributes(state));
}

function sendAttributes(state: RunState): void {
  const pairs = Object.entries(state.unsentAttributes ?? {}).map(([name, value]) => ({ key: defineSearchAttributeKey(name, attributeType(name as SearchAttributeName)), value }));
  state.unsentAttributes = undefined;
  upsertSearchAttributes(pairs as SearchAttributePair[]);
}

function attributeType(name: SearchAttributeName): 'KEYWORD' | 'BOOL' | 'DOUBLE' {
  return ({ Keyword: 'KEYWORD', Bool: 'BOOL', Double: 'DOUBLE' } as const)[SEARCH_ATTRIBUTES[name]];
}

/** The answer of the `progress` query. */
export function progressOf(state: RunState): Progress {
  const { record, openGate, waitingStep, owned } = state;
  return {
    runbook: record.runbook,
    target: record.target,
    requester: record.requester,
    phase: state.phase,
    startedAt: instantOf(record.startedAtMs),
    paused: state.paused,
    openGate: openGate
      ? {
          name: openGate.name,
          openedAt: instantOf(openGate.openedAtMs),
          planShownAt: instantOf(planShownSinceMs(openGate)),
          expiresAt: instantOf(openGate.expiresAtMs),
          latestExpiry: instantOf(latestExpiry(openGate.policy, openGate.openedAtMs)),
          planHash: openGate.record.planHash,
          approvers: approversAt(openGate.policy, openGate.openedAtMs, Date.now()),
          quorum: openGate.policy.quorum,
          assurance: openGate.policy.assurance,
          note: notesOf(state).join('; ') || null,
        }
      : null,
    waitingStep: waitingStep ? { name: waitingStep.name, failure: waitingStep.failure, until: instantOf(waitingStep.untilMs), takesInput: waitingStep.input !== undefined, skippingCosts: waitingStep.skippingCosts } : null,
    lease: owned?.leaseExpiresAtMs === undefined ? null : { expiresAt: instantOf(owned.leaseExpiresAtMs) },
    lock: lockOf(state),
    steps: record.steps.map(({ name, outcome, startedAt, finishedAt, summary }) => ({ name, outcome, startedAt, finishedAt, summary })),
    refused: record.refused,
    refusedLeftOut: record.refusedLeftOut,
  };
}

/** What decisions at a gate are about. */
export function planViewOf({ record, input }: Pick<RunState, 'record' | 'input'>): Pick<PlanView, 'plan' | 'input' | 'codeVersion'> {
  return { plan: record.plan, input, codeVersion: record.codeVersion };
}

/** What people have to know who decide at the open gate. */
function notesOf(state: RunState): string[] {
  const { openGate, record } = state;
  return [correctionInWords(state), openGate && requesterUnchecked(openGate.policy, record, openGate.requester)].filter((note) => typeof note === 'string');
}

/** Who has what the run waits for. */
function lockOf({ lock, record }: RunState): NonNullable<Progress['lock']> | null {
  if (!lock) return null;
  return { holders: lock.holders, lookedAt: lock.lookedAt, before: waitingBefore(lock.waiting, record.owner.workflowId) };
}

/** The answer of the `compensations` query: what an abort would undo now, in that order. The place goes last, as with the guardian. */
export function compensationsOf(state: RunState): CompensationView[] {
  const last = state.settings?.lastUndone ?? {};
  const undone = state.undo.map(({ step, entry, isGivenUp }) => ({ id: entry.id, step, title: entry.title, when: isGivenUp ? 'always' as const : entry.when, lastSeconds: last[step] ?? null })).reverse();
  return state.place === null ? undone : [...undone, { id: 'place', step: 'teardown', title: `remove the ${state.place.title}`, when: 'always', lastSeconds: null }];
}

/** Shows the run in the web UI, as it is when nothing more is to be done at once: thousands of signals that come in one task are shown by one text, and not by one each. */
export function showDetails(state: RunState): void {
  if (state.isToBeShown) return;
  state.isToBeShown = true;
  void Promise.resolve().then(() => {
    state.isToBeShown = false;
    setCurrentDetails(detailsOf(state));
  });
}

/** Phase, open gate and what was refused, and the steps so far. Lists only: older UIs have no tables. Approvers read it, so what others chose is written {@link inline}. */
function detailsOf(state: RunState): string {
  const { record, openGate, waitingStep, lock } = state;
  const lines = [`**${inline(record.runbook)}** on **${inline(record.target ?? '?')}**: ${inline(state.phase)}${state.paused ? ' (paused)' : ''}`, ''];
  if (openGate) {
    const { policy } = openGate;
    const approvers = approversAt(policy, openGate.openedAtMs, Date.now());
    lines.push(`Waiting at gate **${inline(openGate.name)}** until ${instantOf(openGate.expiresAtMs)}. Plan \`${openGate.record.planHash}\`. `
      + `Needs ${policy.quorum} of ${approvers.length > 0 ? inline(approvers.join(', ')) : 'anyone'}, assurance \`${policy.assurance}\` or better. Send the signal \`approve\` or \`reject\`.`, '');
    lines.push(...planLines(planViewOf(state), null).map((line) => `- plan: ${inline(line)}`));
  }
  if (lock) lines.push(...lock.holders.map(({ runbook, workflowId, since }) => `- the target is held by ${inline(runbook)} ${inline(workflowId)} since ${since}, as of ${lock.lookedAt}`));
  if (waitingStep) {
    const why = waitingStep.failure === null ? '' : ` It failed: ${inline(waitingStep.failure)}`;
    lines.push(`Step **${inline(waitingStep.name)}** waits for an operator until ${instantOf(waitingStep.untilMs)}.${why}`, '');
  }
  if (state.owned?.leaseExpiresAtMs !== undefined) lines.push(`- it has its target until ${instantOf(state.owned.leaseExpiresAtMs)} at the latest`);
  for (const note of notesOf(state)) lines.push(`- note: ${inline(note)}`);
  for (const line of refusalLines(record)) lines.push(`- ${inline(line)}`);
  for (const step of record.steps) {
    lines.push(`- ${step.outcome === 'done' ? '✓' : step.outcome === 'running' ? '▶' : '✗'} ${inline(step.name)}${step.summary ? `: ${inline(step.summary)}` : ''}`);
    lines.push(...(state.underWay.get(step)?.lines() ?? []));
  }
  return lines.join('\n');
}

/** Shows how far an activity is, at its step as long as it is under way. What others sent in its name is shown as well, and does nothing else. */
export function showUnderWay(state: RunState, told: UnderWay): void {
  if (told.run !== workflowInfo().runId) return;
  const at = instantOf(Date.now());
  if ([...state.underWay.values()].some((activities) => activities.take(told, at))) showDetails(state);
}

/** Enters a phase: what the operator sees in the terminal, the web UI and searches. */
export function enterPhase(state: RunState, phase: string): void {
  state.phase = phase;
  setAttributes(state, { RunbookPhase: phase });
  showDetails(state);
  log.info('phase', { phase, target: state.record.target });
}
