import type { Client } from 'pg';
import { keyOf } from '../table-locks.ts';

/** A relation as one server has it by now. */
export interface Relation { oid: number; schema: string; name: string; /** As identities of definitions name it. */ label: string; /** `relkind` and `relpersistence` of `pg_class`. */ kind: string; persistence: string; xmin: number }

/** Some relations, by number and by name. */
export interface Relations { byNumber: ReadonlyMap<number, Relation>; byName: ReadonlyMap<string, Relation> }

interface Numbered { schema: string; name: string; oid?: number | undefined }

/**
 * Which of some tables another one is: that of its number, whatever it is called there; else that of its name, in whose place it is. Manifests of
 * older programs do not say numbers.
 * @param kept numbers that the others have: which of the tables is among them by its number is no other one, whatever took its name. Without these
 *   one may be both, of two others
 */
export function byNumberOrName<T extends Numbered>(tables: readonly T[], kept: ReadonlySet<number> = new Set()): (other: Numbered & { oid: number }) => T | undefined {
  const numbered = new Map<number | undefined, T>(tables.map((table) => [table.oid, table]));
  const named = new Map(tables.filter(({ oid }) => oid === undefined || !kept.has(oid)).map((table) => [keyOf(table), table]));
  return (other) => numbered.get(other.oid) ?? named.get(keyOf(other));
}

/** Numbers of all that can have contents of its own on one server; what is UNLOGGED, or WITH NO DATA, has a number, too. Temporary tables are in no manifest. */
export async function tableNumbers(client: Client): Promise<Set<number>> {
  const { rows } = await client.query<{ oid: number }>(`SELECT oid::int8::float8 AS oid FROM pg_class WHERE relkind IN ('r', 'm') AND relpersistence <> 't'`);
  return new Set(rows.map(({ oid }) => oid));
}

/** Those of one server that have the number or the name of a table that a manifest has. No temporary ones: a session's table may have the number of one that never was in this history, and a copy drops it. */
export async function relationsOf(client: Client, tables: readonly Numbered[]): Promise<Relations> {
  const { rows } = await client.query<Omit<Relation, 'xmin'> & { xmin: string }>(
    `SELECT c.oid::int8::float8 AS oid, n.nspname AS schema, c.relname AS name, format('%I.%I', n.nspname, c.relname) AS label, c.relkind::text AS kind, c.relpersistence::text AS persistence, c.xmin::text AS xmin
     FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
     WHERE c.relpersistence <> 't' AND (c.oid = ANY ($1::oid[]) OR (n.nspname, c.relname) IN (SELECT * FROM unnest($2::name[], $3::name[])))`,
    [tables.flatMap(({ oid }) => oid ?? []), tables.map(({ schema }) => schema), tables.map(({ name }) => name)]);
  const relations = rows.map((row): Relation => ({ ...row, xmin: Number(row.xmin) }));
  return { byNumber: new Map(relations.map((relation) => [relation.oid, relation])), byName: new Map(relations.map((relation) => [keyOf(relation), relation])) };
}
