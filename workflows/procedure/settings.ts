import { isCancellation, TemporalFailure, workflowInfo } from '@temporalio/workflow';
import type { KernelActivities } from '../../activities/kernel/kernel-activities.ts';
import type { RunSettings } from '../../contracts/runbook.ts';
import { read, readForSomebody } from './kernel-activities.ts';
import { bindPlan } from './plan-hash.ts';
import { setAttributes } from './presentation.ts';
import type { RunState } from './run-state.ts';

/** So long after it was read, what somebody is refused for by the configuration is taken to hold. */
const HOLDS_MS = 60_000;

/** Takes over what the input says of who asks for what, and what the configuration says of the target. */
export async function adoptSettings(state: RunState, input: unknown): Promise<void> {
  const { contract, record } = state;
  const fields = input as Record<string, unknown>;
  const text = (value: unknown): string | null => (typeof value === 'string' ? value : null);
  record.requester = text(fields['requester']);
  record.reason = text(fields['reason']);
  // As it was asked for: that is what the evidence of a run says which the configuration refuses.
  record.target = text(fields[contract.targetField]);
  state.settings = await describe(state, read);
  record.target = state.settings.target;
  record.startedBy = state.settings.startedBy;
  record.codeVersion = state.settings.codeVersion;
  setAttributes(state, { RunbookType: contract.type, RunbookTarget: state.settings.target, RunbookAwaitingApproval: false });
}

/**
 * Asks once more: people think for days, and meanwhile workers are upgraded, and people come and go. What the run has been
 * begun with stays: its target and the host of that, its lease, the search attributes. The plan's hash covers the version
 * of the code that answers.
 */
export async function readSettingsAnew(state: RunState, by: Pick<KernelActivities, 'describeRun'> = read): Promise<void> {
  const { settings: former, record } = state;
  if (!former) return;
  const { host: _, ...anew } = await describe(state, by);
  const { host, target, lease, searchAttributes, startedBy, lastUndone } = former;
  // No gate is lost that the run began with: the second person for a correction stays.
  state.settings = { ...anew, ...(host === undefined ? {} : { host }), ...(lastUndone === undefined ? {} : { lastUndone }), gates: { ...former.gates, ...anew.gates }, target, lease, searchAttributes, startedBy };
  record.codeVersion = anew.codeVersion;
  if (record.planHash !== null) bindPlan(state, {});
}

/** {@link readSettingsAnew}, for somebody whom the run would refuse by what it knows: nothing that anybody can send may hold up a gate, or end its run. */
export async function readSettingsForSomebody(state: RunState): Promise<void> {
  try {
    await readSettingsAnew(state, readForSomebody);
  } catch (error) {
    if (isCancellation(error) || !(error instanceof TemporalFailure)) throw error;
    state.settingsReadAtMs = Date.now();
  }
}

/** Whether the configuration may be another by now than the one that the run goes by. */
export function mayBeOutdated({ settingsReadAtMs }: Pick<RunState, 'settingsReadAtMs'>, nowMs: number): boolean {
  return nowMs - settingsReadAtMs >= HOLDS_MS;
}

async function describe(state: RunState, { describeRun }: Pick<KernelActivities, 'describeRun'>): Promise<RunSettings> {
  const { contract, record } = state;
  const { workflowId, runId } = workflowInfo();
  const settings = await describeRun({ runbook: contract.type, target: record.target ?? undefined, gates: contract.gates, run: { workflowId, runId } });
  state.settingsReadAtMs = Date.now();
  return settings;
}
