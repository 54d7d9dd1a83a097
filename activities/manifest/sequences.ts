import { escapeIdentifier, type Client, type QueryResult } from 'pg';
import type { SequenceManifest } from '../../contracts/manifest.ts';
import { definitionMoved, lockNotAvailable, sqlState } from './errors.ts';
import { areOfTheirTypes, onlyIf, quotedName } from './only-if.ts';

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
 * Where the sequences stand now, by oid, without those that have another file than listed. Sequences obey no snapshot: read before the log position, this is a lower
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
      const position = await readPosition(client, sequence);
      // It is in the file that the list saw before and that was current after: so it was read from that one.
      if (position?.filenode === sequence.filenode) positions.set(sequence.oid, position);
    } catch (error) {
      // Dropped, renamed or locked meanwhile: no bound is known, and a wrong one would be worse.
      if (!definitionMoved.has(sqlState(error)) && sqlState(error) !== lockNotAvailable) throw error;
    }
  }
  return positions;
}

/**
 * What PostgreSQL says when the file that it began to read was emptied or removed: data_corrupted (a block is not there),
 * undefined_file. RESTART makes a new file and does not wait for those who read the old one.
 */
const FILE_GONE: ReadonlySet<string> = new Set(['XX001', '58P01']);
/** Each look finds the file of that moment; damage would be there each time. */
const LOOKS_AT_A_FILE = 10;

async function readPosition(client: Client, sequence: SequenceRow): Promise<SequencePosition | undefined> {
  const increment = BigInt(sequence.increment);
  // Nothing can lock a sequence, and what is called so by now may run functions of its owner.
  const text = `${onlyIf(`to_regclass(${quotedName(sequence)})::oid = ${sequence.oid}`)};
    SELECT last_value::text, is_called, pg_relation_filenode(${sequence.oid})::text AS filenode FROM ${escapeIdentifier(sequence.schema)}.${escapeIdentifier(sequence.name)}
    WHERE ${areOfTheirTypes([{ column: 'last_value', type: 'int8' }, { column: 'is_called', type: 'bool' }])}`;
  for (let look = 1; ; look += 1) {
    try {
      const results = await client.query(text) as unknown as QueryResult<{ last_value: string; is_called: boolean; filenode: string }>[];
      const row = results.at(-1)?.rows[0];
      if (row) return { next: BigInt(row.last_value) + (row.is_called ? increment : 0n), filenode: row.filenode };
      // An emptied file that was measured before it was read has no row.
      if (look >= LOOKS_AT_A_FILE) return undefined;
    } catch (error) {
      if (!FILE_GONE.has(sqlState(error)) || look >= LOOKS_AT_A_FILE) throw error;
    }
  }
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
      sourceBehind: furthest === null ? false : isSourceBehind({ bound, second: second?.filenode === sequence.filenode ? second.next : null, furthest, ascending }),
      oid: sequence.oid,
      filenode: sequence.filenode,
    };
  });
}

/**
 * Whether the source was behind its column at the position; null where nobody saw it. Beyond it only afterwards says
 * nothing: whoever loads rows with numbers of their own sets the sequence once they are committed, and the position may lie in between.
 */
function isSourceBehind({ bound, second, furthest, ascending }: { bound: bigint | null; second: bigint | null; furthest: bigint; ascending: boolean }): boolean | null {
  if (second === null) return null;
  if (!isBeyond(second, furthest, ascending)) return true;
  return bound !== null && isBeyond(bound, furthest, ascending) ? false : null;
}

/** Whether `value` comes before `other` in the direction of the sequence. */
export function isBehind(value: bigint, other: bigint, ascending: boolean): boolean {
  return ascending ? value < other : value > other;
}

/** Whether the next value cannot be one that the table already has. */
export function isBeyond(next: bigint, furthest: bigint, ascending: boolean): boolean {
  return ascending ? next > furthest : next < furthest;
}
