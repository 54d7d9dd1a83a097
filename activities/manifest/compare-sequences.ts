import type { Client } from 'pg';
import type { Difference, SequenceManifest } from '../../contracts/manifest.ts';
import { saysNothingOfTheData, sqlState } from './errors.ts';
import { isBehind, isBeyond, listSequences, readPositions } from './sequences.ts';

/** A sequence that is gone, cannot be read, or would give out what it, or its table, has already. */
export type SequenceDifference = Extract<Difference, { kind: 'sequence' }>;

/**
 * `unknown` and `locked` were not compared; `compared` is the number of those that were. Which one of the manifest each of them is no name says
 * by itself: `b.c` in the schema `a` reads as `c` in `a.b` does.
 */
export interface SequencesComparison { differing: { of: SequenceManifest; difference: SequenceDifference }[]; unknown: SequenceManifest[]; locked: SequenceManifest[]; compared: number }

interface Named { oid: number; schema: string; name: string }
/** Says which of the sequences of a server is one of a manifest. */
export type WhichIs = <T extends Named>(sequences: readonly T[]) => (expected: SequenceManifest) => T | undefined;

const byName: WhichIs = (sequences) => {
  const named = new Map(sequences.map((sequence) => [keyOf(sequence), sequence]));
  return (expected) => named.get(keyOf(expected));
};

/** By its number, where the manifest says it and the server has it; else the one of its name, as far as that is no other one of the manifest. */
export function byNumber(manifest: readonly SequenceManifest[]): WhichIs {
  const known = new Set(manifest.map(({ oid }) => oid));
  return (sequences) => {
    const numbered = new Map<number | undefined, (typeof sequences)[number]>(sequences.map((sequence) => [sequence.oid, sequence]));
    const named = byName(sequences.filter(({ oid }) => !known.has(oid)));
    return (expected) => numbered.get(expected.oid) ?? named(expected);
  };
}

/**
 * Whether the sequences of a copy stand where they must.
 * @param client in no transaction: each sequence is read by itself
 * @param locked what a transaction under way locks, by oid: as long as the copy is paused, to wait for it would be in vain
 * @param whichIs by name, where a copy is held against a manifest of its very position
 */
export async function compareSequences(client: Client, expected: readonly SequenceManifest[], locked: ReadonlySet<number>, whichIs: WhichIs = byName): Promise<SequencesComparison> {
  const result: SequencesComparison = { differing: [], unknown: [], locked: [], compared: 0 };
  const find = whichIs(await listSequences(client));
  for (const sequence of expected) {
    const differ = (difference: Omit<SequenceDifference, 'kind' | 'sequence'>): void => {
      result.differing.push({ of: sequence, difference: { kind: 'sequence', sequence: nameOf(sequence), ...difference } });
    };
    const there = find(sequence);
    if (there === undefined) { differ({ problem: 'missing', expectedAtLeast: sequence.nextAtLeast, found: null }); continue; }
    // Where it stood, recovery has taken from it.
    if (there.persistence === 'u') { differ({ problem: 'unlogged', expectedAtLeast: sequence.nextAtLeast, found: null }); continue; }
    if (locked.has(there.oid)) { result.locked.push(sequence); continue; }
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
    if (found === undefined) result.unknown.push(sequence);
    // A sequence that starts over has no order to compare; the manifest lists it as not verified.
    else if (sequence.cycles) continue;
    else if (sequence.nextAtLeast !== null && isBehind(found, BigInt(sequence.nextAtLeast), sequence.ascending)) differ({ problem: 'behindItself', expectedAtLeast: sequence.nextAtLeast, found: String(found) });
    else if (isInTable && sequence.sourceBehind === false) differ({ problem: 'behindTable', expectedAtLeast: String(furthest + step), found: String(found) });
    // Nobody saw whether it was so at the source: that is no finding, and not as it should be either.
    else if (isInTable && sequence.sourceBehind === null) result.unknown.push(sequence);
    // One that is behind a table that the source was behind itself can only be held against itself.
    else if (sequence.nextAtLeast === null && (furthest === undefined || isInTable)) result.unknown.push(sequence);
    else result.compared += 1;
  }
  return result;
}

/** What evidence says was not compared of a sequence. */
export function positionOf(sequence: SequenceManifest): string {
  return `position of sequence ${nameOf(sequence)}`;
}

function nameOf({ schema, name }: SequenceManifest): string {
  return `${schema}.${name}`;
}

function keyOf({ schema, name }: { schema: string; name: string }): string {
  return JSON.stringify([schema, name]);
}
