import type { Client } from 'pg';
import { cutRange } from '../buckets.ts';
import { measureTable, readMakers } from '../read-bucket.ts';
import { releasingLocks } from '../session.ts';
import type { Table } from '../tables.ts';
import { ofSource, whatHinders, type SourceUnread } from './of-source.ts';
import type { SharedPast } from './shared-past.ts';

/**
 * What became, at the source, of a table whose rows the copy has in a file of its own. Since the copy's instant it was refreshed, as
 * a materialized view is, written anew, so that not one version of a row of before is left (`reloaded since`: by a load, or by what
 * rewrites a table), or, being younger than the manifest, dropped; else nobody knows when (`another file`), or it is only not there.
 */
export type Replaced = 'refreshed since' | 'reloaded since' | 'dropped since' | 'another file' | 'not at the source' | 'source not readable' | SourceUnread;

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

/** Files that a table may have one after the other while it is looked at, as where it is reloaded all the time. */
const LOOKS_AT_A_TABLE = 20;

/** VACUUM FULL and the like put each row elsewhere and leave it what it is, so that the damage of a copy would go unseen; what is there after TRUNCATE was made since. */
async function areRowsLater(client: Client, source: Table, past: SharedPast): Promise<Replaced> {
  if (!source.isHeap) return 'another file';
  let seen: string | undefined;
  try {
    for (let look = 1; look <= LOOKS_AT_A_TABLE; look += 1) {
      // As it is by now: since the tables were listed it may have got another one, or more.
      const file = (await ofSource(classRow(client, source.oid)))?.file;
      // One that moved and has the file that it had was renamed.
      if (!file || file === seen) return 'another file';
      const areLater = await areLaterIn(client, { ...source, relfilenode: file }, past);
      if (areLater !== 'moved') return areLater ? 'reloaded since' : 'another file';
      seen = file;
    }
    return 'another file';
  } catch (error) {
    return whatHinders(error);
  }
}

/** Whether all rows in the file that a table has were made after the copy's instant. */
async function areLaterIn(client: Client, source: Table, past: SharedPast): Promise<boolean | 'moved'> {
  const size = await ofSource(measureTable(client, source));
  if (size === 'moved') return 'moved';
  // What is put on pages beyond these from now on is later.
  const parts = size.pages === 0 ? [] : cutRange(source, { fromPage: 0, toPage: size.pages }, size, READ_BYTES);
  for (const part of parts) {
    const makers = await ofSource(readMakers(client, source, part));
    if (makers === 'moved') return 'moved';
    if (!await past.areLater(makers)) return false;
  }
  return true;
}

/** What `pg_class` has of a table, in a transaction that goes on, and where that stands: in which file of `pg_class`, and there. `file`: that which the table has by now. */
export async function classRow(client: Client, oid: number): Promise<{ catalogFile: string; place: string; xmin: number; kind: string; file: string | null } | undefined> {
  const { rows: [row] } = await releasingLocks(client, () => client.query<{ catalogFile: string; place: string; xmin: string; kind: string; file: string | null }>(`SELECT pg_relation_filenode('pg_catalog.pg_class'::regclass)::text AS "catalogFile", ctid::text AS place, xmin::text AS xmin, relkind::text AS kind, pg_relation_filenode(oid)::text AS file FROM pg_class WHERE oid = $1`, [oid]));
  return row && { ...row, xmin: Number(row.xmin) };
}
