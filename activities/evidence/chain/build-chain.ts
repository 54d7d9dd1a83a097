import type { ChainEntry, Salts } from '../../../contracts/chain.ts';
import { digestOf, hashOf } from './digest.ts';
import { partsOf } from './parts.ts';

/** What the hash before the first entry is. */
export const BEGINNING = '';

/** The hash of an entry: it covers all entries before it, too. */
export function entryHash(previous: string, { kind, of, digest }: Pick<ChainEntry, 'kind' | 'of' | 'digest'>): string {
  return hashOf([previous, kind, of, digest]);
}

/** The name of an entry for the salts of its fields: its place in the chain. */
export function entryName(index: number): string {
  return String(index);
}

/** The chain over all parts of a piece of evidence. The last hash is its head. */
export function buildChain(evidence: Record<string, unknown>, salts: Salts): { entries: ChainEntry[]; head: string } {
  const entries: ChainEntry[] = [];
  let previous = BEGINNING;
  for (const [index, { kind, of, value }] of partsOf(evidence).entries()) {
    const digest = digestOf(value, salts, entryName(index));
    previous = entryHash(previous, { kind, of, digest });
    entries.push({ kind, of, digest, hash: previous });
  }
  return { entries, head: previous };
}
