import { createHash } from 'node:crypto';
import { escapeIdentifier, type Client } from 'pg';
import { rowHash, typeCondition, type Column } from './fingerprint.ts';
import { lockStatement } from './lock-table.ts';
import { isOfUsers } from './of-users.ts';
import { PARTS_OF_TYPES } from './parts-of-types.ts';

/** A relation with contents of its own, as the snapshot sees it, and how it is read. */
export interface Table {
  oid: number;
  schema: string;
  name: string;
  /** `schema.name` as people read it. */
  label: string;
  /** Quoted, with ONLY, ready for FROM and LOCK TABLE. */
  from: string;
  /** Takes ACCESS SHARE, which keeps others from putting another file in its place. */
  lock: string;
  relfilenode: string;
  /** What is read of it, by the names that they had; the number is what a column keeps. */
  columns: readonly { name: string; number: number }[];
  expression: string;
  /** Belongs beside the expression in a query: refuses columns that are of another type by now. */
  typeCondition: string | undefined;
  /** Hash of the expression and of what its columns mean. */
  method: string;
  portable: boolean;
  /** The first column of a unique index, where ranges of it mean something to people. */
  key: TableKey | null;
  /** Columns that own a sequence, and which end of them a sequence must be beyond. */
  owned: { column: string; ascending: boolean; sequenceOid: number }[];
  /** Other storage than heap has no page ranges. */
  isHeap: boolean;
  estimatedPages: number;
}

/** `type` is the name in pg_catalog of the type underneath all domains. */
export interface TableKey { column: string; type: string }

/** `tables` are read; `unlogged` and `foreign`, by the names that people read, are not: a restore brings the contents of neither. */
export interface TableList {
  tables: Table[];
  unlogged: string[];
  foreign: string[];
}

interface RelationRow {
  oid: number; schema: string; name: string; label: string; kind: string; persistence: string; relfilenode: string; pages: number;
  is_heap: boolean; key: TableKey | null; columns: ColumnRow[]; owned: { column: string; ascending: boolean; sequenceOid: number }[];
}
interface ColumnRow {
  name: string; number: number; type: string; type_schema: string; kind: string; is_domain: boolean; send: string | null; sends_any: boolean; user_oids: boolean;
}

/** Tables of pg_catalog that hold what users put there. */
export const LARGE_OBJECT_TABLES: readonly string[] = ['pg_largeobject', 'pg_largeobject_metadata'];

/**
 * Reads pg_class and its relatives as plain tables: their rows obey the snapshot, while functions such as
 * format_type look past it. Domains are followed to the bottom by the recursive part.
 */
const listQuery = `
WITH RECURSIVE relation AS (
  SELECT c.oid, n.nspname, c.relname, c.relkind, c.relpersistence, c.relfilenode, c.relpages, c.relam
  FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
  WHERE (c.relkind IN ('r', 'f') OR (c.relkind = 'm' AND c.relispopulated)) AND c.relpersistence <> 't'
    AND ((${isOfUsers('c.oid')}) OR (n.nspname = 'pg_catalog' AND c.relname IN (${LARGE_OBJECT_TABLES.map((name) => `'${name}'`).join(', ')})))
), base AS (
  SELECT t.oid AS start, t.oid, t.typtype, t.typbasetype FROM pg_type t
  UNION ALL
  SELECT b.start, t.oid, t.typtype, t.typbasetype FROM base b JOIN pg_type t ON t.oid = b.typbasetype WHERE b.typtype = 'd'
), part AS MATERIALIZED (${PARTS_OF_TYPES}
), without_send AS (
  -- A type sends what is within it by the functions of those types, however deep they lie.
  SELECT oid FROM pg_type WHERE typsend = 0
  UNION
  SELECT p.whole FROM without_send w JOIN part p ON p.oid = w.oid
), final AS (
  SELECT b.start, t.typname, tn.nspname, t.typtype, b.start <> b.oid AS is_domain,
    -- A few borrow the function of another type, as refcursor does that of text, which SQL cannot call with them.
    CASE WHEN t.oid NOT IN (SELECT oid FROM without_send) AND (argument.oid = t.oid OR argument.typtype = 'p') THEN format('%I.%I', pn.nspname, p.proname) END AS send,
    coalesce(argument.typtype = 'p', false) AS sends_any,
    -- array_send, record_send and range_send write the OIDs of the types inside
    (t.typtype = 'c' OR (e.oid IS NOT NULL AND e.oid >= 16384)) AS user_oids
  FROM base b JOIN pg_type t ON t.oid = b.oid JOIN pg_namespace tn ON tn.oid = t.typnamespace
  LEFT JOIN pg_type e ON e.oid = t.typelem AND t.typcategory = 'A'
  LEFT JOIN pg_proc p ON p.oid = t.typsend::oid LEFT JOIN pg_namespace pn ON pn.oid = p.pronamespace LEFT JOIN pg_type argument ON argument.oid = p.proargtypes[0]
  WHERE b.typtype <> 'd'
)
SELECT r.oid::int8::float8 AS oid, r.nspname AS schema, r.relname AS name, format('%I.%I', r.nspname, r.relname) AS label, r.relkind AS kind,
  r.relpersistence AS persistence, r.relfilenode::text AS relfilenode, r.relpages AS pages, coalesce(am.amname = 'heap', false) AS is_heap,
  (SELECT jsonb_build_object('column', a.attname, 'type', f.typname) FROM pg_index i JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = i.indkey[0]
   JOIN final f ON f.start = a.atttypid
   WHERE i.indrelid = r.oid AND i.indisunique AND i.indpred IS NULL
     AND f.nspname = 'pg_catalog' AND f.typname IN ('int2', 'int4', 'int8', 'date', 'timestamp', 'timestamptz')
   ORDER BY i.indisprimary DESC, i.indexrelid LIMIT 1) AS key,
  coalesce((SELECT jsonb_agg(jsonb_build_object('name', a.attname, 'number', a.attnum, 'type', f.typname, 'type_schema', f.nspname, 'kind', f.typtype,
      'is_domain', f.is_domain, 'send', f.send, 'sends_any', f.sends_any, 'user_oids', f.user_oids) ORDER BY a.attnum)
   FROM pg_attribute a JOIN final f ON f.start = a.atttypid
   WHERE a.attrelid = r.oid AND a.attnum > 0 AND NOT a.attisdropped AND a.attgenerated <> 'v'), '[]') AS columns,
  coalesce((SELECT jsonb_agg(jsonb_build_object('column', a.attname, 'ascending', s.seqincrement > 0, 'sequenceOid', s.seqrelid::int8) ORDER BY s.seqrelid)
   FROM pg_depend d JOIN pg_sequence s ON s.seqrelid = d.objid
   JOIN pg_attribute a ON a.attrelid = d.refobjid AND a.attnum = d.refobjsubid
   JOIN final f ON f.start = a.atttypid
   WHERE d.classid = 'pg_class'::regclass AND d.refclassid = 'pg_class'::regclass AND d.deptype IN ('a', 'i') AND d.refobjid = r.oid
     AND f.nspname = 'pg_catalog' AND f.typname IN ('int2', 'int4', 'int8')), '[]') AS owned
FROM relation r LEFT JOIN pg_am am ON am.oid = r.relam
ORDER BY r.relpages DESC, r.oid`;

/** Lists what has contents to compare; run it under the snapshot that the contents are read under. */
export async function listTables(client: Client, serverVersionNum: number): Promise<TableList> {
  const { rows } = await client.query<RelationRow>(listQuery);
  const list: TableList = { tables: [], unlogged: [], foreign: [] };
  for (const row of rows) {
    if (row.kind === 'f') list.foreign.push(row.label);
    else if (row.persistence === 'u') list.unlogged.push(row.label);
    else list.tables.push(toTable(row, serverVersionNum));
  }
  return list;
}

/** Sequences (by oid) that a column judges without any bound of their own: one that had rows when its table was last analyzed or vacuumed. */
export function ownedByFilled(tables: readonly Table[]): Set<number> {
  return new Set(tables.filter(({ estimatedPages }) => estimatedPages > 0).flatMap(({ owned }) => owned.map(({ sequenceOid }) => sequenceOid)));
}

function toTable(row: RelationRow, serverVersionNum: number): Table {
  const columns: Column[] = row.columns.map((column, index) => ({
    name: column.name,
    position: index + 1,
    builtin: column.type_schema === 'pg_catalog' ? column.type : '',
    baseType: `${escapeIdentifier(column.type_schema)}.${escapeIdentifier(column.type)}`,
    isDomain: column.is_domain,
    typeKind: column.kind,
    sendFunction: column.send,
    sendsAny: column.sends_any,
    sendsUserOids: column.user_oids,
  }));
  const { sql, portable } = rowHash(columns, escapeIdentifier, serverVersionNum);
  const from = `ONLY ${escapeIdentifier(row.schema)}.${escapeIdentifier(row.name)}`;
  return {
    oid: row.oid, schema: row.schema, name: row.name, label: row.label,
    from,
    lock: lockStatement(row, from),
    relfilenode: row.relfilenode,
    columns: row.columns.map(({ name, number }) => ({ name, number })),
    expression: sql,
    typeCondition: typeCondition(columns, escapeIdentifier, serverVersionNum),
    method: createHash('sha256').update(`${sql}\n${columns.map((column) => column.baseType).join()}`).digest('hex').slice(0, 16),
    portable, key: row.key, owned: row.owned, isHeap: row.is_heap, estimatedPages: row.pages,
  };
}
