import { CORRECTION_GATE } from '../../contracts/gate.ts';
import { firstOf } from '../../contracts/whole-characters.ts';
import type { RunState } from './run-state.ts';

/** Another input for a step that failed: people decide on it at a gate of its own. */
export interface Correction { step: string; by: string; reason: string; from: unknown; to: unknown }

/** So much of an input is shown in a sentence; the query `plan` has all of it. */
const SHOWN_INPUT = 1_000;

/** What the open gate decides on beside the plan, in a sentence; null where it is not about a correction. */
export function correctionInWords({ openGate, corrections }: Pick<RunState, 'openGate' | 'corrections'>): string | null {
  const correction = openGate?.name === CORRECTION_GATE ? corrections.at(-1) : undefined;
  if (!correction) return null;
  const { step, by, reason, from, to } = correction;
  return `step "${step}" would be tried again with ${shown(to)} in place of ${shown(from)}, as ${by} asks for: ${reason}`;
}

function shown(input: unknown): string {
  const text = JSON.stringify(input) ?? 'nothing';
  return text.length <= SHOWN_INPUT ? text : `${firstOf(text, SHOWN_INPUT)}… (the query plan has all of it)`;
}
