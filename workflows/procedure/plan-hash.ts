import { sha256 } from '@noble/hashes/sha2.js';
import { bytesToHex, utf8ToBytes } from '@noble/hashes/utils.js';
import { canonicalJson } from '../../contracts/canonical.ts';
import type { RunState } from './run-state.ts';

/** SHA-256 of the canonical JSON of a value, in hexadecimal. (The sandbox has no crypto of its own.) */
export function hashOf(value: unknown): string {
  return bytesToHex(sha256(utf8ToBytes(canonicalJson(value))));
}

/** Holds what decisions are bound to: the plan's hash is that of all parts that were ever bound, each as it was bound last. */
export function bindPlan(state: RunState, parts: Record<string, unknown>): void {
  const { runbook, target, codeVersion } = state.record;
  const bound = { runbook, target, input: state.input, 'code version': codeVersion, ...parts };
  state.boundParts = { ...state.boundParts, ...Object.fromEntries(Object.entries(bound).map(([name, value]) => [name, hashOf(value ?? null)])) };
  state.record.planHash = hashOf(state.boundParts);
}
