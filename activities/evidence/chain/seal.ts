import { canonicalJson } from '../../../contracts/canonical.ts';
import { CHAIN_METHOD, type Salts, type Signature } from '../../../contracts/chain.ts';
import type { Evidence } from '../../../contracts/evidence.ts';
import { wellFormed } from '../../../contracts/whole-characters.ts';
import { buildChain } from './build-chain.ts';

/**
 * Closes a piece of evidence with the chain over all of its parts. `seed`: 32 characters or more that nobody can guess. `sign`
 * signs the head, where there is a key. Half a character, as anybody can send one and any text can bring, becomes U+FFFD: RFC 8785
 * has no form for it, and evidence is written whatever comes in.
 */
export function seal(given: Evidence, seed: string, sign?: (head: string) => Signature): Evidence & { chain: { seal: NonNullable<Evidence['chain']['seal']> } } {
  const evidence = wellFormed(given);
  const salts: Salts = { seed };
  const { entries, head } = buildChain(evidence as unknown as Record<string, unknown>, salts);
  return { ...evidence, chain: { ...evidence.chain, seal: { method: CHAIN_METHOD, salts, entries, head, signature: sign?.(head) ?? null } } };
}

/** Evidence as a file holds it: canonical JSON (RFC 8785), so that no byte can change unseen. */
export function textOf(evidence: object): string {
  return canonicalJson(evidence);
}
