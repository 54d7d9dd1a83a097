import type { Client } from 'pg';
import { isOfUsers } from './of-users.ts';
import { PARTS_OF_TYPES } from './parts-of-types.ts';

/** What rows of a composite type consist of, by the type's oid. */
type RowTypes = ReadonlyMap<number, { columns: string; type: string }>;

const shapesOf = (types: string): string => `
  SELECT t.oid::int8::float8 AS oid, format('%I.%I', n.nspname, t.typname) AS type,
    (SELECT string_agg(concat_ws(' ', a.attnum, a.attisdropped, a.atttypid), ', ' ORDER BY a.attnum) FROM pg_attribute a WHERE a.attrelid = t.typrelid AND a.attnum > 0) AS columns
  FROM pg_type t JOIN pg_namespace n ON n.oid = t.typnamespace WHERE t.typtype = 'c' AND t.oid IN (${types})`;

/** What is within columns of users' tables, however deep. */
const WITHIN_COLUMNS = `
  WITH RECURSIVE part AS MATERIALIZED (${PARTS_OF_TYPES}), within AS (
    SELECT a.atttypid AS oid FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid
    WHERE c.relkind IN ('r', 'm') AND (${isOfUsers('c.oid')}) AND a.attnum > 0 AND NOT a.attisdropped
    UNION SELECT p.oid FROM within w JOIN part p ON p.whole = w.oid
  ) SELECT oid FROM within`;

/** The composite types that values of columns are made of, as this client sees them. Values are read by the columns that their types have now, whatever the snapshot says. */
export async function readRowTypes(client: Client): Promise<RowTypes> {
  return toMap(await client.query(shapesOf(WITHIN_COLUMNS)));
}

/** Of these types, those whose columns are others by now, or that are gone with them: what they were before that, nobody can ask any more. */
export async function reshapedSince(before: RowTypes, client: Client): Promise<string[]> {
  if (before.size === 0) return [];
  const now = toMap(await client.query(shapesOf('SELECT unnest($1::oid[])'), [[...before.keys()]]));
  return [...before].flatMap(([oid, { columns, type }]) => (now.get(oid)?.columns === columns ? [] : [type]));
}

function toMap({ rows }: { rows: { oid: number; columns: string | null; type: string }[] }): RowTypes {
  return new Map(rows.map(({ oid, columns, type }) => [oid, { columns: columns ?? '', type }]));
}
