import { sha256 } from '@noble/hashes/sha2.js';
import { bytesToHex, utf8ToBytes } from '@noble/hashes/utils.js';
import { canonicalJson } from '../../contracts/canonical.ts';

/** SHA-256 of the canonical JSON of a plan: what a decision at a gate is bound to. (The sandbox has no crypto of its own.) */
export function planHash(plan: unknown): string {
  return bytesToHex(sha256(utf8ToBytes(canonicalJson(plan))));
}
