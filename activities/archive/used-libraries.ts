import type { Client } from 'pg';
import type { DatabaseDescription } from '../../contracts/recovery-point.ts';
import { placesOfLibrary } from '../postgres/library-places.ts';

/** Libraries of C functions, without those of initdb (below 16384, FirstNormalObjectId), which every PostgreSQL of that version brings. */
const USED = `
SELECT p.probin AS file, min(e.extname::text) AS extension
  FROM pg_proc p JOIN pg_language l ON l.oid = p.prolang AND l.lanname = 'c'
  LEFT JOIN pg_depend d ON d.classid = 'pg_proc'::regclass AND d.objid = p.oid AND d.refclassid = 'pg_extension'::regclass AND d.deptype = 'e'
  LEFT JOIN pg_extension e ON e.oid = d.refobjid
 WHERE p.oid >= 16384 AND p.probin IS NOT NULL
 GROUP BY 1 ORDER BY 1`;

/** Its own directory of libraries only superusers may know. Another role is told so much of where else it looks, or nothing. */
const WHERE = `SELECT current_setting('is_superuser') = 'on' AS "maySee", (SELECT setting FROM pg_settings WHERE name = 'dynamic_library_path') AS "searchPath"`;

/**
 * Libraries that the functions of a database are in, as far as the source surely has them: a superuser sees that, others know it of
 * extensions. What was left of an upgrade, and loads nowhere any more, keeps nobody from restoring.
 */
export async function readLibraries(client: Client): Promise<NonNullable<DatabaseDescription['libraries']>> {
  const { rows: used } = await client.query<{ file: string; extension: string | null }>(USED);
  if (used.length === 0) return [];
  const { rows: [where] } = await client.query<{ maySee: boolean; searchPath: string | null }>(WHERE);
  if (!where?.maySee) return where?.searchPath === '$libdir' ? used.filter(({ extension }) => extension !== null) : [];
  const { rows: [own] } = await client.query<{ directory: string }>(`SELECT setting AS directory FROM pg_config WHERE name = 'PKGLIBDIR'`);
  if (!own) return [];
  const there: typeof used = [];
  // In its own directory: where else the source looks, a restored server need not.
  for (const library of used) if (await isThere(client, placesOfLibrary(library.file, own.directory))) there.push(library);
  return there;
}

async function isThere(client: Client, places: readonly string[]): Promise<boolean> {
  for (const place of places) {
    // What cannot be looked at is not surely there.
    const { rows: [found] } = await client.query<{ isThere: boolean }>('SELECT NOT isdir AS "isThere" FROM pg_stat_file($1, true)', [place]).catch(() => ({ rows: [] }));
    if (found?.isThere === true) return true;
  }
  return false;
}
