import type { Client } from 'pg';
import { PARTS_OF_TYPES } from './parts-of-types.ts';

/** What rows of composite types consist of, by the types' oids. */
type RowTypes = ReadonlyMap<number, { columns: string; type: string }>;

const SHAPE = `t.oid::int8::float8 AS oid, format('%I.%I', n.nspname, t.typname) AS type,
  (SELECT string_agg(concat_ws(' ', a.attnum, a.attisdropped, a.atttypid), ', ' ORDER BY a.attnum) FROM pg_attribute a WHERE a.attrelid = t.typrelid AND a.attnum > 0) AS columns`;

/**
 * The composite types that values of each of these tables are made of, however deep, by the oids of the tables, as this client sees them. Values
 * are read by the columns that their types have now, whatever the snapshot says.
 */
export async function readRowTypes(client: Client, tables: readonly { oid: number }[]): Promise<ReadonlyMap<number, RowTypes>> {
  const { rows } = await client.query<Shape & { relation: number }>(`
    WITH RECURSIVE part AS MATERIALIZED (${PARTS_OF_TYPES}), within AS (
      SELECT attrelid AS relation, atttypid AS oid FROM pg_attribute WHERE attrelid = ANY ($1::oid[]) AND attnum > 0 AND NOT attisdropped
      UNION SELECT w.relation, p.oid FROM within w JOIN part p ON p.whole = w.oid)
    SELECT w.relation::int8::float8 AS relation, ${SHAPE} FROM within w JOIN pg_type t ON t.oid = w.oid AND t.typtype = 'c' JOIN pg_namespace n ON n.oid = t.typnamespace`, [tables.map(({ oid }) => oid)]);
  const ofTables = new Map<number, Shape[]>();
  for (const { relation, ...shape } of rows) ofTables.set(relation, [...ofTables.get(relation) ?? [], shape]);
  return new Map([...ofTables].map(([relation, shapes]) => [relation, byOid(shapes)]));
}

/**
 * Of these types, those whose columns are others by now, or that are gone with them: what they were before that, nobody can ask any more. To
 * be asked as soon as their table was read: what becomes of types after that is nothing to it.
 */
export async function reshapedSince(before: RowTypes | undefined, client: Client): Promise<string[]> {
  if (before === undefined) return [];
  const { rows } = await client.query<Shape>(`SELECT ${SHAPE} FROM pg_type t JOIN pg_namespace n ON n.oid = t.typnamespace WHERE t.oid = ANY ($1::oid[])`, [[...before.keys()]]);
  const now = byOid(rows);
  return [...before].flatMap(([oid, { columns, type }]) => (now.get(oid)?.columns === columns ? [] : [type]));
}

interface Shape { oid: number; columns: string | null; type: string }

function byOid(shapes: readonly Shape[]): RowTypes {
  return new Map(shapes.map(({ oid, columns, type }) => [oid, { columns: columns ?? '', type }]));
}
