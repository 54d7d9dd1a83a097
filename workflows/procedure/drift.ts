import { patched } from '@temporalio/workflow';
import { shortHash } from '../../contracts/deciding.ts';
import type { Decision, GatePolicy } from '../../contracts/gate.ts';
import { firstOf } from '../../contracts/whole-characters.ts';
import { onBehalfOf, refusal } from './gate-policy.ts';
import { noteEvent, policyOf } from './gate-record.ts';
import { viewOf } from './gate-view.ts';
import { inOrder } from './ladder.ts';
import { notify } from './notify.ts';
import { hashOf } from './plan-hash.ts';
import { showDetails } from './presentation.ts';
import { lookOnceMore } from './recheck.ts';
import type { OpenGate, RunState } from './run-state.ts';
import { readSettingsAnew } from './settings.ts';

/** Whether the run asks anew, before a gate passes, which code runs it and who may decide. Runs of older code did so once, at their start. */
export function readsAnew(): boolean {
  return patched('what a gate rests on is read anew');
}

/**
 * Whether what people decided on is another thing by now: the plan, or the version of the code that would carry it out.
 * Then their decisions are void, and the gate shows the new plan. Also takes over who may decide by now, and judges by
 * that once more whoever has.
 */
export async function hasDrifted(state: RunState, gate: OpenGate): Promise<boolean> {
  const isReadAnew = readsAnew();
  if (!isReadAnew && !gate.recheck) return false;
  if (isReadAnew) await takeOverSettings(state, gate);
  if (gate.recheck) await lookOnceMore(state, gate);
  return showAnotherPlan(state, gate);
}

/**
 * Takes over what the configuration says by now of who decides at this gate; a gate that it does not name any more stays as
 * it was. The gate's end does not move by that.
 */
export async function takeOverSettings(state: RunState, gate: OpenGate, readAnew: (state: RunState) => Promise<void> = readSettingsAnew): Promise<void> {
  const before = { policy: gate.policy, people: state.people };
  await readAnew(state);
  const policy = state.settings?.gates[gate.name] ?? gate.policy;
  const changed = [...changes(before.policy, policy), ...(hashOf(before.people) === hashOf(state.people) ? [] : ['people'])];
  if (changed.length === 0) return;
  gate.policy = policy;
  gate.escalated = climbed(inOrder(before.policy).slice(0, gate.escalated), inOrder(policy));
  gate.record.policy = policyOf(policy, gate.openedAtMs);
  gate.record.onExpiry = policy.onExpiry;
  noteEvent(gate, 'policyChanged', firstOf(`in the configuration: ${changed.join('; ')}`, LONGEST_CHANGE));
  const voided = judgeAgain(state, gate);
  if (voided > 0 || hashOf(before.policy.approvers) !== hashOf(policy.approvers)) notify(state, { kind: 'gatePolicyChanged', gate, channels: policy.notify });
  showDetails(state);
}

/** Of what changed in a policy, in characters. */
const LONGEST_CHANGE = 2_000;

/** How many of these escalations have happened already: those that are as they were. Others that are due are told at once. */
function climbed(before: GatePolicy['escalation'], now: GatePolicy['escalation']): number {
  const other = now.findIndex((rung, index) => hashOf(rung) !== hashOf(before[index] ?? null));
  return other === -1 ? now.length : other;
}

function changes(before: GatePolicy, now: GatePolicy): string[] {
  const names = [...new Set([...Object.keys(before), ...Object.keys(now)])] as (keyof GatePolicy)[];
  return names.filter((name) => hashOf(before[name] ?? null) !== hashOf(now[name] ?? null)).map((name) => `${name} from ${JSON.stringify(before[name] ?? null)} to ${JSON.stringify(now[name] ?? null)}`);
}

/** Whoever may not decide any more has not decided. Returns of how many that is so. */
function judgeAgain(state: RunState, gate: OpenGate): number {
  const counted = gate.record.decisions.filter((decision) => decision.counted);
  const view = { ...viewOf(state, gate), decisions: [] as Decision[] };
  for (const decision of counted) {
    const proposal = { ...decision, atMs: Date.parse(decision.at) };
    const reason = refusal(view, proposal);
    if (reason !== null) {
      voidOf(state, decision, `void since the configuration changed: ${reason}`);
      continue;
    }
    decision.onBehalfOf = onBehalfOf(view, proposal);
    view.decisions.push(decision);
  }
  return counted.length - view.decisions.length;
}

/** Where the plan is another one than the gate shows: voids what was decided on that, and shows this one. */
export function showAnotherPlan(state: RunState, gate: OpenGate): boolean {
  const hash = state.record.planHash ?? '';
  if (hash === gate.record.planHash) return false;
  const shown = gate.shownParts;
  const changed = Object.keys({ ...shown, ...state.boundParts }).filter((name) => shown[name] !== state.boundParts[name]);
  const what = `the plan changed from ${shortHash(gate.record.planHash)} to ${shortHash(hash)} (${changed.join(', ')})`;
  gate.record.planHash = hash;
  gate.shownParts = state.boundParts;
  gate.planShownAtMs = Date.now();
  for (const decision of gate.record.decisions.filter(({ counted }) => counted)) voidOf(state, decision, `void since ${what}; look at the new plan and decide on it`);
  noteEvent(gate, 'planChanged', what);
  gate.toldAtMs = Date.now();
  notify(state, { kind: 'gatePlanChanged', gate, channels: gate.policy.notify });
  showDetails(state);
  return true;
}

function voidOf(state: RunState, decision: Decision, reason: string): void {
  decision.counted = false;
  decision.reason = reason;
  state.noteRefusal(`${decision.decision} at ${decision.at}: ${reason}`);
}
