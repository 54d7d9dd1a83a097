import type { Assurance } from './gate.ts';
import { firstOf } from './whole-characters.ts';

/** What a decision is answered with which enough have approved, where the plan is looked at before the gate passes: it may turn out to be another. */
export const ENOUGH_APPROVALS = 'enough approvals; the plan is looked at once more';

/** So much of a hash tells people one plan from another at a glance. */
const SHORT_HASH = 12;

/** The words of our command that decides at a gate, as that asks for it: on this plan or on nothing; before there is a plan, on the one that the gate shows by then. */
export function decidingWords(decision: 'approve' | 'reject', workflowId: string, { assurance, planHash }: { assurance: string; planHash?: string }): string[] {
  return [decision, workflowId, ...asWhom(assurance), ...(planHash === undefined ? [] : ['--plan-hash', planHash])];
}

/** The beginning of a plan's hash, to be looked at: it names no plan where somebody decides. */
export function shortHash(planHash: string): string {
  return firstOf(planHash, SHORT_HASH);
}

/** How a decision says whose it is; the server itself stamps the name where only a verified one counts. */
function asWhom(assurance: string): string[] {
  if (assurance === ('signature' satisfies Assurance)) return ['--sign', 'KEY'];
  return assurance === ('principal' satisfies Assurance) ? [] : ['--by', 'NAME'];
}
