import type { Client } from 'pg';
import type { TableManifest } from '../../../contracts/manifest.ts';
import { keyOf } from '../table-locks.ts';
import { ofSource } from './of-source.ts';
import { relationsOf } from './relations.ts';

/**
 * Which definitions that the source has, by their identities, are of a table of the manifest, or of something on one, that the copy has by
 * another name, or that the source has made anew since: the copy's instant may lie between the old one and the new. Of older manifests, none is known.
 */
export async function definitionsOfOthers(copy: Client, source: Client, tables: readonly TableManifest[]): Promise<(identity: string) => boolean> {
  const [here, there] = [await relationsOf(copy, tables), await ofSource(relationsOf(source, tables))];
  const others = tables.flatMap((table) => {
    const [ours, theirs] = [here.byName.get(keyOf(table)), there.byName.get(keyOf(table))];
    if (table.oid === undefined || ours?.oid === table.oid || theirs === undefined || theirs.oid === ours?.oid) return [];
    return here.byNumber.has(table.oid) || theirs.oid !== table.oid ? [theirs] : [];
  });
  const labels = others.map(({ label }) => label);
  const names = [...new Set([...labels, ...await ofSource(namesOn(source, others.map(({ oid }) => oid)))])];
  return (identity) => names.some((name) => identity === name || identity.startsWith(`on relation ${name} to `)) ||
    labels.some((label) => [`${label}.`, `${label} of `, `on column ${label}.`].some((start) => identity.startsWith(start)) || [` on ${label}`, `: ${label}`].some((end) => identity.endsWith(end)));
}

/** Indexes and sequences of tables, which have names of their own. */
async function namesOn(client: Client, oids: readonly number[]): Promise<string[]> {
  if (oids.length === 0) return [];
  const { rows } = await client.query<{ label: string }>(
    `SELECT format('%I.%I', n.nspname, c.relname) AS label FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
     WHERE c.oid IN (SELECT indexrelid FROM pg_index WHERE indrelid = ANY ($1::oid[]) UNION ALL SELECT objid FROM pg_depend WHERE classid = 'pg_class'::regclass AND refclassid = 'pg_class'::regclass AND deptype IN ('a', 'i') AND refobjid = ANY ($1::oid[]))`, [oids]);
  return rows.map(({ label }) => label);
}
