import type { Client } from 'pg';
import { cutRange } from '../buckets.ts';
import { insufficientPrivilege, sqlState } from '../errors.ts';
import { measureTable, readMakers } from '../read-bucket.ts';
import { releasingLocks } from '../session.ts';
import type { Table } from '../tables.ts';
import { ofSource } from './of-source.ts';
import type { SharedPast } from './shared-past.ts';

/**
 * What became, at the source, of a table whose rows the copy has in a file of its own. Since the copy's instant it was refreshed, as
 * a materialized view is, written anew, so that not one version of a row of before is left (`reloaded since`: by a load, or by what
 * rewrites a table), or, being younger than the manifest, dropped; else nobody knows when (`another file`), or it is only not there.
 */
export type Replaced = 'refreshed since' | 'reloaded since' | 'dropped since' | 'another file' | 'not at the source' | 'source not readable';

/** One table in the copy and at its source; `isNew`: the manifest does not have it. */
export interface TwoFiles { copy: Table; source: Table | undefined; isNew: boolean }

/** So much of a table is read at once; only who made its rows. */
const READ_BYTES = 32 * 2 ** 20;

const known = new WeakMap<TwoFiles, Promise<Replaced>>();

/** Says so of a table whose files are not the same; asked until it is known, once for each. */
export async function howReplaced(source: Client, tables: TwoFiles, past: SharedPast): Promise<Replaced> {
  const found = known.get(tables) ?? look(source, tables, past);
  known.set(tables, found);
  try {
    return await found;
  } catch (error) {
    known.delete(tables);
    throw error;
  }
}

async function look(client: Client, { copy, source, isNew }: TwoFiles, past: SharedPast): Promise<Replaced> {
  if (isNew && !await ofSource(classRow(client, copy.oid))) return 'dropped since';
  if (!source) return 'not at the source';
  const row = await ofSource(classRow(client, source.oid));
  if (!row || !await past.areLater(new Set([row.xmin]))) return 'another file';
  // One that has taken the name of a table is no refreshment of that.
  if (row.kind === 'm' && source.oid === copy.oid) return 'refreshed since';
  return areRowsLater(client, source, past);
}

/** VACUUM FULL and the like put each row elsewhere and leave it what it is, so that the damage of a copy would go unseen; what is there after TRUNCATE was made since. */
async function areRowsLater(client: Client, source: Table, past: SharedPast): Promise<Replaced> {
  if (!source.isHeap) return 'another file';
  try {
    const size = await ofSource(measureTable(client, source));
    if (size === 'moved') return 'another file';
    for (const part of cutRange(source, { fromPage: 0, toPage: null }, size, READ_BYTES)) {
      const makers = await ofSource(readMakers(client, source, part));
      if (makers === 'moved' || !await past.areLater(makers)) return 'another file';
    }
    return 'reloaded since';
  } catch (error) {
    if (sqlState(error) !== insufficientPrivilege) throw error;
    return 'source not readable';
  }
}

/** What `pg_class` has of a table, in a transaction that goes on, and where that stands: in which file of `pg_class`, and there. */
export async function classRow(client: Client, oid: number): Promise<{ catalogFile: string; place: string; xmin: number; kind: string } | undefined> {
  const { rows: [row] } = await releasingLocks(client, () => client.query<{ catalogFile: string; place: string; xmin: string; kind: string }>(`SELECT pg_relation_filenode('pg_catalog.pg_class'::regclass)::text AS "catalogFile", ctid::text AS place, xmin::text AS xmin, relkind::text AS kind FROM pg_class WHERE oid = $1`, [oid]));
  return row && { ...row, xmin: Number(row.xmin) };
}
