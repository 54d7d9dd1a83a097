import { setCurrentDetails, upsertSearchAttributes, log } from '@temporalio/workflow';
import { defineSearchAttributeKey, type SearchAttributePair } from '@temporalio/common';
import { SEARCH_ATTRIBUTES, type SearchAttributeName } from '../../contracts/search-attributes.ts';
import { refusalLines, type CompensationView, type Progress } from '../../contracts/messages.ts';
import { requesterUnchecked } from './gate-policy.ts';
import { inline } from './markdown.ts';
import type { RunState } from './run-state.ts';
import { instantOf } from './wait.ts';

/** Sets search attributes; those that the server does not know are left out, since one of them would hang the run. */
export function setAttributes(state: RunState, values: Partial<Record<SearchAttributeName, string | number | boolean | null>>): void {
  const known = state.settings?.searchAttributes ?? [];
  const pairs = Object.entries(values)
    .filter(([name]) => known.includes(name as SearchAttributeName))
    .map(([name, value]) => ({
      key: defineSearchAttributeKey(name, attributeType(name as SearchAttributeName)),
      value,
    })) as SearchAttributePair[];
  if (pairs.length > 0) upsertSearchAttributes(pairs);
}

function attributeType(name: SearchAttributeName): 'KEYWORD' | 'BOOL' | 'DOUBLE' {
  return ({ Keyword: 'KEYWORD', Bool: 'BOOL', Double: 'DOUBLE' } as const)[SEARCH_ATTRIBUTES[name]];
}

/** The answer of the `progress` query. */
export function progressOf(state: RunState): Progress {
  const { record, openGate } = state;
  const gateRecord = openGate && record.gates.find((gate) => gate.name === openGate.name && gate.outcome === 'open');
  return {
    runbook: record.runbook,
    target: record.target,
    requester: record.requester,
    phase: state.phase,
    startedAt: instantOf(record.startedAtMs),
    paused: state.paused,
    openGate: openGate && gateRecord
      ? {
          name: openGate.name,
          openedAt: instantOf(openGate.openedAtMs),
          expiresAt: instantOf(openGate.expiresAtMs),
          planHash: gateRecord.planHash,
          approvers: openGate.policy.approvers,
          quorum: openGate.policy.quorum,
          assurance: openGate.policy.assurance,
          note: requesterUnchecked(openGate.policy, record),
        }
      : null,
    steps: record.steps.map(({ name, outcome, startedAt, finishedAt, summary }) => ({ name, outcome, startedAt, finishedAt, summary })),
    refused: record.refused,
    refusedLeftOut: record.refusedLeftOut,
  };
}

/** The answer of the `compensations` query: what an abort would undo now, in that order. */
export function compensationsOf(state: RunState): CompensationView[] {
  return state.undo.map(({ step, entry }) => ({ id: entry.id, step, title: entry.title, when: entry.when })).reverse();
}

/** Shows the run in the web UI: phase, open gate and what was refused, and the steps so far. Lists only: older UIs have no tables. Approvers read it, so what others chose is written {@link inline}. */
export function showDetails(state: RunState): void {
  const { record, openGate } = state;
  const lines = [`**${inline(record.runbook)}** on **${inline(record.target ?? '?')}**: ${inline(state.phase)}${state.paused ? ' (paused)' : ''}`, ''];
  if (openGate) {
    const { policy } = openGate;
    lines.push(`Waiting at gate **${inline(openGate.name)}** until ${instantOf(openGate.expiresAtMs)}. Plan \`${record.planHash?.slice(0, 12)}\`. `
      + `Needs ${policy.quorum} of ${policy.approvers.length > 0 ? inline(policy.approvers.join(', ')) : 'anyone'}, assurance \`${policy.assurance}\` or better. Send the signal \`approve\` or \`reject\`.`, '');
  }
  const note = openGate && requesterUnchecked(openGate.policy, record);
  if (note) lines.push(`- note: ${inline(note)}`);
  for (const line of refusalLines(record)) lines.push(`- ${inline(line)}`);
  for (const step of record.steps) {
    lines.push(`- ${step.outcome === 'done' ? '✓' : step.outcome === 'running' ? '▶' : '✗'} ${inline(step.name)}${step.summary ? `: ${inline(step.summary)}` : ''}`);
  }
  setCurrentDetails(lines.join('\n'));
}

/** Enters a phase: what the operator sees in the terminal, the web UI and searches. */
export function enterPhase(state: RunState, phase: string): void {
  state.phase = phase;
  setAttributes(state, { RunbookPhase: phase });
  showDetails(state);
  log.info('phase', { phase, target: state.record.target });
}
