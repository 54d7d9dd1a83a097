import type { Client } from 'pg';

/** Versions of the rows of pg_enum, by oid, each with the type that its label is of. */
type Labels = ReadonlyMap<number, { version: string; type: string }>;

/** The labels of enums as this client sees them. Their values are read by the labels that they have now, whatever the snapshot says. */
export async function readLabels(client: Client): Promise<Labels> {
  const { rows } = await client.query<{ oid: number; version: string; type: string }>(
    `SELECT e.oid::int8::float8 AS oid, e.xmin::text AS version, format('%I.%I', n.nspname, t.typname) AS type
     FROM pg_enum e JOIN pg_type t ON t.oid = e.enumtypid JOIN pg_namespace n ON n.oid = t.typnamespace`);
  return new Map(rows.map(({ oid, ...label }) => [oid, label]));
}

/** Types of which a label was changed since, also where it has its old name again. New labels are nobody's value yet, and those that are gone went with all columns of the type. */
export async function relabelledSince(before: Labels, client: Client): Promise<string[]> {
  const after = await readLabels(client);
  const changed = [...before].filter(([oid, { version }]) => (after.get(oid)?.version ?? version) !== version);
  return [...new Set(changed.map(([, { type }]) => type))];
}
