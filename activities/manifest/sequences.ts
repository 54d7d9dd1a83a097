import { escapeIdentifier, type Client } from 'pg';
import type { SequenceManifest } from '../../contracts/manifest.ts';
import { definitionMoved, lockNotAvailable, sqlState } from './errors.ts';

/** Where a sequence stands: what the next call will give, and in which file that was found. */
export interface SequencePosition { next: bigint; filenode: string }

interface SequenceRow { oid: number; schema: string; name: string; increment: string; cycles: boolean; filenode: string; persistence: string }

/** The sequences that the snapshot sees. */
export async function listSequences(client: Client): Promise<SequenceRow[]> {
  const { rows } = await client.query<SequenceRow>(
    `SELECT c.oid::int8::float8 AS oid, n.nspname AS schema, c.relname AS name, s.seqincrement::text AS increment, s.seqcycle AS cycles,
       c.relfilenode::text AS filenode, c.relpersistence AS persistence
     FROM pg_sequence s JOIN pg_class c ON c.oid = s.seqrelid JOIN pg_namespace n ON n.oid = c.relnamespace
     WHERE c.relpersistence <> 't' ORDER BY c.oid`);
  return rows;
}

/**
 * Where the sequences stand now, by oid. Sequences obey no snapshot: read before the log position, this is a lower
 * bound of what a restore to that position must show, because each value was logged before it was given out.
 * @param signal when it fires, the rest is left out
 */
export async function readPositions(client: Client, sequences: readonly SequenceRow[], signal?: AbortSignal): Promise<Map<number, SequencePosition>> {
  const positions = new Map<number, SequencePosition>();
  for (const sequence of sequences) {
    if (signal?.aborted) break;
    // An unlogged sequence cannot be read while recovery is paused, and starts anew afterwards.
    if (sequence.persistence === 'u') continue;
    try {
      const { rows } = await client.query<{ last_value: string; is_called: boolean; filenode: string }>(
        `SELECT last_value::text, is_called, pg_relation_filenode($1::oid)::text AS filenode FROM ${escapeIdentifier(sequence.schema)}.${escapeIdentifier(sequence.name)}`,
        [String(sequence.oid)]);
      const row = rows[0];
      if (row) positions.set(sequence.oid, { next: BigInt(row.last_value) + (row.is_called ? BigInt(sequence.increment) : 0n), filenode: row.filenode });
    } catch (error) {
      // Dropped, renamed or locked meanwhile: no bound is known, and a wrong one would be worse.
      if (!definitionMoved.has(sqlState(error)) && sqlState(error) !== lockNotAvailable) throw error;
    }
  }
  return positions;
}

/** What the reading of tables found in the columns that own sequences, by oid of the sequence. */
export type OwnerValues = ReadonlyMap<number, { owner: string; furthest: bigint | null }>;

/**
 * The next value of a sequence that a copy must not be behind, or null where none is known: it was made, restarted or
 * set back between the reading before the position and the one after it.
 */
function boundOf(sequence: SequenceRow, first: SequencePosition | undefined, second: SequencePosition | undefined): bigint | null {
  // RESTART and TRUNCATE … RESTART IDENTITY make a new file; setval moves back within one.
  if (first?.filenode !== sequence.filenode) return null;
  const movedBack = second !== undefined && second.filenode === first.filenode && isBehind(second.next, first.next, BigInt(sequence.increment) > 0n);
  return movedBack ? null : first.next;
}

/** Sequences whose position could be compared, but of which none is known: at a later position it may be. */
export function withoutBound(
  sequences: readonly SequenceRow[], before: ReadonlyMap<number, SequencePosition>, after: ReadonlyMap<number, SequencePosition>,
): SequenceRow[] {
  return sequences.filter((sequence) => sequence.persistence !== 'u' && !sequence.cycles && boundOf(sequence, before.get(sequence.oid), after.get(sequence.oid)) === null);
}

/**
 * Puts together what is demanded of each sequence in a restored copy.
 * @param before where they stood before the position
 * @param after where they stood soon after it: the sooner, the less they moved
 */
export function describeSequences(
  sequences: readonly SequenceRow[], before: ReadonlyMap<number, SequencePosition>, after: ReadonlyMap<number, SequencePosition>, owners: OwnerValues,
): SequenceManifest[] {
  return sequences.filter((sequence) => sequence.persistence !== 'u').map((sequence) => {
    const ascending = BigInt(sequence.increment) > 0n;
    const second = after.get(sequence.oid);
    const owner = owners.get(sequence.oid);
    const bound = boundOf(sequence, before.get(sequence.oid), second);
    const furthest = owner?.furthest ?? null;
    return {
      schema: sequence.schema, name: sequence.name, ascending, cycles: sequence.cycles,
      nextAtLeast: bound === null ? null : String(bound),
      owner: owner?.owner ?? null,
      ownerFurthest: furthest === null ? null : String(furthest),
      sourceBehind: furthest !== null && second !== undefined && second.filenode === sequence.filenode && !isBeyond(second.next, furthest, ascending),
    };
  });
}

/** Whether `value` comes before `other` in the direction of the sequence. */
export function isBehind(value: bigint, other: bigint, ascending: boolean): boolean {
  return ascending ? value < other : value > other;
}

/** Whether the next value cannot be one that the table already has. */
export function isBeyond(next: bigint, furthest: bigint, ascending: boolean): boolean {
  return ascending ? next > furthest : next < furthest;
}
