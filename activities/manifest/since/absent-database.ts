import type { Client } from 'pg';
import type { Difference, NotVerified } from '../../../contracts/manifest.ts';
import { sqlState } from '../errors.ts';
import type { Sessions } from '../session.ts';
import type { SharedPast } from './shared-past.ts';

/** There is no such database (or only its row: its files are gone), or it is closed to all, as by `datallowconn` or a DROP DATABASE that was interrupted. */
const TAKES_NONE: ReadonlySet<string> = new Set(['3D000', '55000']);

/** Whether a server answered that it takes no connections to a database. */
export function takesNoConnection(error: unknown): boolean {
  return TAKES_NONE.has(sqlState(error));
}

/** A connection to a database; undefined where the server has none of that name, or none that takes connections. */
export async function openIfThere(sessions: Sessions, database: string): Promise<Client | undefined> {
  return sessions.open(database).catch((error: unknown) => {
    if (takesNoConnection(error)) return undefined;
    throw error;
  });
}

/** A connection to the first of these databases that takes one. */
export async function openAny(sessions: Sessions, databases: readonly string[]): Promise<Client | undefined> {
  for (const database of databases) {
    const client = await openIfThere(sessions, database);
    if (client) return client;
  }
  return undefined;
}

/** A source, over whatever database, and what a copy has in common with it. */
export interface AskedSource { client: Client; past: SharedPast }

/**
 * What a database of the manifest that the copy takes no connections to says of the copy: it was lost where the source had it
 * by the copy's instant and still has it, and is rightly not there where the source has it no more either.
 * @param copy over another database
 * @param source undefined where it does not answer
 */
export async function databaseLost(database: string, copy: Client, source: AskedSource | undefined): Promise<{ differences: Difference[]; notVerified: NotVerified[] }> {
  const lost: Difference = { kind: 'catalog', object: 'database', identity: database, change: 'missing' };
  const left = (why: string, byDesign = false) => ({ differences: [], notVerified: [{ database, what: 'contents and definitions', why, byDesign }] });
  const here = await rowOf(copy, database);
  // It says that it is open: what the row stands for is gone.
  if (here?.open) return { differences: [lost], notVerified: [] };
  if (here) return left('the copy takes no connections to this database (datallowconn is off, or dropping it was interrupted): let it take some at the source, or drop it there, and take a manifest then');
  if (!source) return left('the copy has no such database, and no source answers that could say whether it was dropped since');
  const there = await rowOf(source.client, database);
  if (!there) return left('it was dropped or renamed since the manifest: neither the copy nor the source has it', true);
  if ((await source.past.committed(new Set([there.xmin]))).size > 0) return { differences: [lost], notVerified: [] };
  return left('the copy has no such database, and the source has made or altered its own since the instant of the copy; drill again with a manifest and a recovery point from after that');
}

async function rowOf(client: Client, database: string): Promise<{ xmin: number; open: boolean } | undefined> {
  const { rows: [row] } = await client.query<{ xmin: string; open: boolean }>('SELECT xmin::text AS xmin, datallowconn AND datconnlimit <> -2 AS open FROM pg_database WHERE datname = $1', [database]);
  return row && { xmin: Number(row.xmin), open: row.open };
}
