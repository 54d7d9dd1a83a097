import type { Client } from 'pg';
import { PARTS_OF_TYPES } from '../parts-of-types.ts';
import { releasingLocks } from '../session.ts';
import type { Table } from '../tables.ts';
import { ofSource } from './of-source.ts';
import type { SharedPast } from './shared-past.ts';

/** One row of the catalog by which values are read; `says`: what that depends on. */
interface Part { key: string; isLabel: boolean; says: string; xmin: string }

/**
 * Columns of the table, those of the composite types within, however deep, and labels of enums. A label that was changed and changed back while rows
 * were read has another version; a column that is dropped stays so.
 */
const QUERY = `
  WITH RECURSIVE part AS MATERIALIZED (${PARTS_OF_TYPES}), within AS (
    SELECT atttypid AS oid FROM pg_attribute WHERE attrelid = $1 AND attnum > 0 AND NOT attisdropped
    UNION SELECT p.oid FROM within w JOIN part p ON p.whole = w.oid)
  SELECT concat_ws(' ', a.attrelid, a.attnum) AS key, false AS "isLabel", concat_ws(' ', a.attisdropped, a.atttypid) AS says, a.xmin::text AS xmin FROM pg_attribute a
  WHERE a.attnum > 0 AND (a.attrelid = $1 OR a.attrelid IN (SELECT t.typrelid FROM within w JOIN pg_type t ON t.oid = w.oid WHERE t.typtype = 'c'))
  UNION ALL SELECT e.oid::text, true, concat_ws(' ', e.xmin, e.enumlabel), e.xmin::text FROM within w JOIN pg_enum e ON e.enumtypid = w.oid`;

/**
 * Whether the source has changed, since the copy's instant, what values of a table are read by, so that a version of a row that both have says
 * something else there. To be asked once the rows were read: it is asked for as it is by then. What the source had so by the copy's instant excuses nothing.
 */
export async function readsOtherwise(copy: Client, source: Client, { oid }: Pick<Table, 'oid'>, past: Pick<SharedPast, 'committed'>): Promise<boolean> {
  const ours = new Map((await partsOf(copy, oid)).map((part) => [part.key, part]));
  // Labels that were added since are nobody's value that both have.
  const others = (await ofSource(partsOf(source, oid))).filter(({ key, isLabel, says }) => (ours.has(key) || !isLabel) && ours.get(key)?.says !== says);
  if (others.length === 0) return false;
  const shared = await past.committed(new Set(others.map(({ xmin }) => Number(xmin))));
  return others.some(({ xmin }) => !shared.has(Number(xmin)));
}

async function partsOf(client: Client, oid: number): Promise<Part[]> {
  return releasingLocks(client, async () => (await client.query<Part>(QUERY, [oid])).rows);
}

/** Whether the names of columns stand for the same columns: one that is dropped and made anew has another number. */
export function haveSameColumns(copy: Pick<Table, 'columns'>, source: Pick<Table, 'columns'>): boolean {
  return copy.columns.length === source.columns.length && copy.columns.every(({ number }, index) => source.columns[index]?.number === number);
}
