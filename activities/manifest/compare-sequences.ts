import type { Client } from 'pg';
import type { Difference, SequenceManifest } from '../../contracts/manifest.ts';
import { saysNothingOfTheData, sqlState } from './errors.ts';
import { isBehind, isBeyond, listSequences, readPositions } from './sequences.ts';

/** `unknown` and `locked` name what was not compared; `compared` is the number of those that were. */
export interface SequencesComparison { differences: Difference[]; unknown: string[]; locked: string[]; compared: number }

/**
 * Whether the sequences of a paused copy stand where they must.
 * @param client in no transaction: each sequence is read by itself
 * @param locked what a transaction under way locks, by oid: as long as the copy is paused, to wait for it would be in vain
 */
export async function compareSequences(client: Client, expected: readonly SequenceManifest[], locked: ReadonlySet<number>): Promise<SequencesComparison> {
  const result: SequencesComparison = { differences: [], unknown: [], locked: [], compared: 0 };
  const existing = new Map((await listSequences(client)).map((sequence) => [keyOf(sequence), sequence]));
  for (const sequence of expected) {
    const name = `${sequence.schema}.${sequence.name}`;
    const described = `position of sequence ${name}`;
    const differ = (difference: Omit<Extract<Difference, { kind: 'sequence' }>, 'kind' | 'sequence'>): void => {
      result.differences.push({ kind: 'sequence', sequence: name, ...difference });
    };
    const there = existing.get(keyOf(sequence));
    if (there === undefined) { differ({ problem: 'missing', expectedAtLeast: sequence.nextAtLeast, found: null }); continue; }
    if (locked.has(there.oid)) { result.locked.push(described); continue; }
    let found: bigint | undefined;
    try {
      found = (await readPositions(client, [there])).get(there.oid)?.next;
    } catch (error) {
      if (saysNothingOfTheData(error)) throw error;
      differ({ problem: 'unreadable', expectedAtLeast: sequence.nextAtLeast, found: null, code: sqlState(error) });
      continue;
    }
    const step = sequence.ascending ? 1n : -1n;
    const furthest = sequence.ownerFurthest === null ? undefined : BigInt(sequence.ownerFurthest);
    const isInTable = furthest !== undefined && found !== undefined && !isBeyond(found, furthest, sequence.ascending);
    if (found === undefined) result.unknown.push(described);
    // A sequence that starts over has no order to compare; the manifest lists it as not verified.
    else if (sequence.cycles) continue;
    else if (sequence.nextAtLeast !== null && isBehind(found, BigInt(sequence.nextAtLeast), sequence.ascending)) differ({ problem: 'behindItself', expectedAtLeast: sequence.nextAtLeast, found: String(found) });
    else if (isInTable && sequence.sourceBehind === false) differ({ problem: 'behindTable', expectedAtLeast: String(furthest + step), found: String(found) });
    // Nobody saw whether it was so at the source: that is no finding, and not as it should be either.
    else if (isInTable && sequence.sourceBehind === null) result.unknown.push(described);
    // One that is behind a table that the source was behind itself can only be held against itself.
    else if (sequence.nextAtLeast === null && (furthest === undefined || isInTable)) result.unknown.push(described);
    else result.compared += 1;
  }
  return result;
}

function keyOf({ schema, name }: { schema: string; name: string }): string {
  return JSON.stringify([schema, name]);
}
