import type { Client } from 'pg';
import type { DatabaseManifest, Difference, NotVerified, TableManifest } from '../../../contracts/manifest.ts';
import type { CatalogDamage } from './catalog-damage.ts';
import { CATALOG_SILENT } from './not-compared.ts';
import { ofSource } from './of-source.ts';
import { byNumberOrName } from './relations.ts';
import { mustHave, type SharedPast } from './shared-past.ts';

/** What is held against what, and what is known already of how far these can be compared. */
export interface UnloggedOptions {
  copy: Client;
  /** Null where it does not answer. */
  source: { client: Client; past: SharedPast } | null;
  expected: DatabaseManifest;
  /** Whether the copy surely has the database that the manifest means. */
  isSameDatabase: boolean;
  /** Those that the copy's tables have. */
  numbers: ReadonlySet<number>;
  damage: CatalogDamage;
  /** Why nobody knows of one that is not as the manifest has it. */
  because: string;
}

/** `tables`: those of the manifest that are not absent, though they are not among what can be compared. */
export interface UnloggedResult { tables: ReadonlySet<TableManifest>; differences: Difference[]; notVerified: NotVerified[] }

/** Why nothing of a table was compared, by design: a restore empties it, as a crash does. */
export const UNLOGGED = 'it was UNLOGGED at the instant of the copy';
const BY_DESIGN = `${UNLOGGED}, and such a table is empty after a restore, whatever the manifest has of it`;

/**
 * Tables that the manifest has, and that are unlogged in a copy: empty, rightly, unless the source had them logged by the copy's instant, or
 * a row of the copy's catalog says so that is of before the manifest, which did not see it: one that came back.
 */
export async function unloggedSince({ copy, source, expected, isSameDatabase, numbers, damage, because }: UnloggedOptions): Promise<UnloggedResult> {
  const found = await damage.reading(unloggedTables(copy)) ?? [];
  const known = byNumberOrName(expected.tables, numbers);
  const tables = new Set<TableManifest>();
  const [differences, notVerified]: [Difference[], NotVerified[]] = [[], []];
  for (const here of found) {
    const manifest = known(here);
    if (!manifest) continue;
    tables.add(manifest);
    const table = `${here.schema}.${here.name}`;
    const state = source === null ? 'untold' : await stateAtSource(source, here, isSameDatabase && here.oid === manifest.oid);
    if (state === 'logged') differences.push({ kind: 'rows', table, rowsExpected: manifest.rows, rowsFound: 0, buckets: [] });
    else notVerified.push({ database: expected.database, what: `contents of ${table}`, why: state === 'unlogged' ? BY_DESIGN : whyUntold(source === null ? because : null), byDesign: state === 'unlogged' });
  }
  return { tables, differences, notVerified };
}

/** Of one that the copy has unlogged: why nobody knows whether it should. @param because null where the source was asked */
export function whyUntold(because: string | null): string {
  return `${UNLOGGED}, as its catalog has it, ${because ?? `and whether the source had it so, ${CATALOG_SILENT}`}`;
}

/**
 * How the source had a table, or a sequence, by the copy's instant, where the copy has it unlogged.
 * @param here its row in the copy's catalog
 * @param isOfManifest whether that is surely of what the manifest has
 */
export async function stateAtSource({ client, past }: { client: Client; past: SharedPast }, { oid, xmin: ofCopy }: { oid: number; xmin: number }, isOfManifest: boolean): Promise<'logged' | 'unlogged' | 'untold'> {
  if (isOfManifest && past.isOfManifest(ofCopy)) return 'logged';
  const { rows: [row] } = await ofSource(client.query<{ persistence: string; xmin: string }>('SELECT relpersistence AS persistence, xmin::text AS xmin FROM pg_class WHERE oid = $1', [oid]));
  // What was dropped since says no more of it.
  if (!row || row.persistence === 'u') return 'unlogged';
  const xmin = Number(row.xmin);
  if (await mustHave(past, xmin)) return 'logged';
  return await past.areLater(new Set([xmin])) ? 'unlogged' : 'untold';
}

interface UnloggedTable { oid: number; xmin: number; schema: string; name: string }

async function unloggedTables(client: Client): Promise<UnloggedTable[]> {
  const { rows } = await client.query<Omit<UnloggedTable, 'xmin'> & { xmin: string }>(`SELECT c.oid::int8::float8 AS oid, c.xmin::text AS xmin, n.nspname AS schema, c.relname AS name FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE c.relkind = 'r' AND c.relpersistence = 'u' ORDER BY n.nspname, c.relname`);
  return rows.map((row) => ({ ...row, xmin: Number(row.xmin) }));
}
