import type { Client } from 'pg';
import type { DatabaseManifest, Difference, Manifest, NotVerified } from '../../../contracts/manifest.ts';
import { libraryTrouble } from '../../postgres/library-trouble.ts';
import { insufficientPrivilege, ManifestError, sqlState } from '../errors.ts';
import type { Sessions } from '../session.ts';
import { unreadableCatalog } from './catalog-damage.ts';
import { AGAIN } from './not-compared.ts';
import { ofSource } from './of-source.ts';
import { mustHave, type SharedPast } from './shared-past.ts';

/** There is no such database (or only its row: its files are gone), or it is closed to all, as by `datallowconn` or a DROP DATABASE that was interrupted. */
const TAKES_NONE: ReadonlySet<string> = new Set(['3D000', '55000']);

/** Whether a server answered that it takes no connections to a database. */
export function takesNoConnection(error: unknown): boolean {
  return TAKES_NONE.has(sqlState(error));
}

/** Whether a server, which knows us by then, answered that we may not connect to a database. */
export function mayNotConnect(error: unknown): boolean {
  return error instanceof ManifestError ? error.type === 'permission' : sqlState(error) === insufficientPrivilege;
}

/** Whether a server, which knows us by then, lets us into no such database, or cannot for damage, or for a library that it says to load; others of it may be open. */
export function isClosedToUs(error: unknown): boolean {
  return takesNoConnection(error) || mayNotConnect(error) || unreadableCatalog(error) !== undefined || libraryTrouble(error) !== undefined;
}

/** A connection to a database; undefined where the server has none of that name, or none that takes connections. */
export async function openIfThere(sessions: Sessions, database: string): Promise<Client | undefined> {
  return sessions.open(database).catch((error: unknown) => {
    if (takesNoConnection(error)) return undefined;
    throw error;
  });
}

/**
 * Connections to the same database of both: what is in its catalog may be held against each other. Where they have none in common
 * that takes connections, the copy alone. One that is closed to us, or damaged, says nothing of the others.
 */
export async function openSame(copies: Sessions, sources: Sessions | null, databases: readonly string[]): Promise<{ copy: Client; source: Client | undefined } | undefined> {
  const openIfLet = (sessions: Sessions, database: string) => openIfThere(sessions, database).catch((error: unknown) => {
    if (isClosedToUs(error)) return undefined;
    throw error;
  });
  let alone: Client | undefined;
  for (const database of databases) {
    const copy = await openIfLet(copies, database);
    if (!copy) continue;
    if (!sources) return { copy, source: undefined };
    const source = await openIfLet(sources, database);
    if (source) return { copy, source };
    if (alone) await copies.close(copy);
    else alone = copy;
  }
  return alone && { copy: alone, source: undefined };
}

/** A source, over whatever database, and what a copy has in common with it. */
export interface AskedSource { client: Client; past: SharedPast }

/**
 * What a database of the manifest that the copy takes no connections to says of the copy: it was lost where the source had it
 * by the copy's instant and still has it, and is rightly not there where the source has it no more either, by no name.
 * @param copy over another database
 * @param source undefined where none can be asked, which `silence` says
 */
export async function databaseLost({ database, oid }: DatabaseManifest, manifest: Manifest, copy: Client, source: AskedSource | undefined, silence: string): Promise<{ differences: Difference[]; notVerified: NotVerified[] }> {
  const left = (why: string, byDesign = false) => ({ differences: [], notVerified: [{ database, what: 'contents and definitions', why, byDesign }] });
  const here = await rowOf(copy, database);
  // It says that it is open: what the row stands for is gone.
  if (here?.open) return { differences: [lost(database)], notVerified: [] };
  if (here) return left('the copy takes no connections to this database (datallowconn is off, or dropping it was interrupted): let it take some at the source, or drop it there, and take a manifest then');
  if (!source) return left(`the copy has no such database, and ${silence}, so that nobody knows whether it was dropped since`);
  const mustBeHere = async (there: { xmin: number } | undefined) => there !== undefined && await mustHave(source.past, there.xmin);
  const there = await ofSource(rowOf(source.client, database));
  if (await mustBeHere(there)) return { differences: [lost(database)], notVerified: [] };
  // A database keeps its number when it is renamed.
  const renamed = oid === undefined ? undefined : await rowOf(copy, oid);
  if (renamed) return left(`it was renamed since the manifest, and the copy has it as ${renamed.name}, of which nothing was compared; ${AGAIN}`);
  if (there) return left(`the copy has no such database, and the source has made or altered its own since the instant of the copy; ${AGAIN}`);
  const elsewhere = oid === undefined ? undefined : await ofSource(rowOf(source.client, oid));
  if (await mustBeHere(elsewhere)) return { differences: [lost(database)], notVerified: [] };
  if (elsewhere) return left(`the source has renamed it (${elsewhere.name}) since the instant of the copy, and the copy has it by neither name; ${AGAIN}`);
  const maybe = oid === undefined ? await unknownTo(manifest, copy) : [];
  if (maybe.length > 0) return left(`neither the copy nor the source has it, and it may have been renamed: the manifest does not have what the copy has as ${maybe.join(', ')}, of which nothing was compared; ${AGAIN}`);
  return left('neither the copy nor the source has it: the source has dropped it since the manifest; whether by the instant of the copy, nothing tells any more', true);
}

/**
 * What a database of the manifest whose name another one has in the copy says of the copy, likewise: what is compared under that name
 * is not what the manifest means.
 * @param oid of the manifest's
 * @param copy over whatever database
 */
export async function namesakeOf({ database }: DatabaseManifest, oid: number, copy: Client, source: AskedSource | undefined, silence: string): Promise<{ differences: Difference[]; notVerified: NotVerified[] }> {
  const left = (why: string, byDesign = false) => ({ differences: [], notVerified: [{ database, what: 'the database that had this name by the manifest', why, byDesign }] });
  const here = await rowOf(copy, oid);
  if (here) return left(`it was renamed since, and another one has its name; the copy has it as ${here.name}, of which nothing was compared; ${AGAIN}`);
  if (!source) return left(`the copy has another one of this name, and that one by none, and ${silence}, so that nobody knows whether it was dropped since`);
  const there = await ofSource(rowOf(source.client, oid));
  if (!there) return left('the source has dropped it since, and another one has its name, which was compared in its place; whether by the instant of the copy, nothing tells any more', true);
  if (await mustHave(source.past, there.xmin)) return { differences: [lost(database)], notVerified: [] };
  return left(`the source has renamed or altered it (${there.name}) since the instant of the copy, and the copy has it by no name; ${AGAIN}`);
}

function lost(database: string): Difference {
  return { kind: 'catalog', object: 'database', identity: database, change: 'missing' };
}

/** Databases of a copy that hold what somebody put there, and that were not there by the manifest, or not by this name. */
async function unknownTo({ databases, notVerified }: Manifest, copy: Client): Promise<string[]> {
  const { rows } = await copy.query<{ name: string }>('SELECT datname AS name FROM pg_database WHERE datallowconn AND datconnlimit <> -2 AND NOT datistemplate AND datname <> ALL ($1) ORDER BY datname', [[...databases, ...notVerified].flatMap(({ database }) => database ?? [])]);
  return rows.map(({ name }) => name);
}

/** @param which a name, or a number */
async function rowOf(client: Client, which: string | number): Promise<{ name: string; xmin: number; open: boolean } | undefined> {
  const { rows: [row] } = await client.query<{ name: string; xmin: string; open: boolean }>(`SELECT datname AS name, xmin::text AS xmin, datallowconn AND datconnlimit <> -2 AS open FROM pg_database WHERE ${typeof which === 'string' ? 'datname' : 'oid'} = $1`, [which]);
  return row && { ...row, xmin: Number(row.xmin) };
}
