import type { ClientConfig } from 'pg';
import type { Check } from '../../contracts/evidence.ts';
import { mayNotConnect, takesNoConnection } from '../manifest/since/absent-database.ts';
import { withClient } from '../postgres/source.ts';
import { overAnyDatabase } from './over-any-database.ts';

type Address = (database: string) => ClientConfig;

/** Databases, as they were described, and one that the copy has. */
interface Checked { databases: readonly string[]; at: string }

/** A collation, or the default of a database: the version that indexes were built with, and the one that its host has. How its name is quoted is the server's choice, so that `key` tells which it is. */
interface Version { key: string; name: string; built: string; actual: string | null }

/**
 * Whether the collations of the copy are those that its indexes were built with. With another version, text indexes may
 * miss rows and unique ones admit duplicates, and the application would find that out, not the comparison, which reads
 * without them. PostgreSQL keeps versions of collations, and since 15 of databases too. Only those count by which
 * something is sorted: initdb makes hundreds that nobody uses. What differs in the same way at the source (null where it
 * does not answer) came from there, and the restore is as good as its source. Where this host has another library than
 * the source's, that says nothing of the backup. What has been dropped or renamed since it was described, or closed to
 * everybody, or lost, is not there to be used, and says nothing either: what was lost is for the comparison to say.
 */
export async function checkCollations(copy: Address, source: Address | null, { databases, at }: Checked): Promise<Check[]> {
  const name = 'collation versions';
  const differing: string[] = [];
  const unexplained: string[] = [];
  const outdated: string[] = [];
  const otherHost: string[] = [];
  const open = await openDatabases(copy, at);
  const left = databases.filter((database) => !open.has(database));
  const forbidden: string[] = [];
  for (const database of databases.filter((name) => open.has(name))) {
    const versions = await readVersions(copy, database, USED).catch((error: unknown) => {
      // Its row says that it is open, but its files are gone, or it is open to others.
      if (takesNoConnection(error)) left.push(database);
      else if (mayNotConnect(error)) forbidden.push(database);
      else throw error;
      return [];
    });
    const found = versions.filter(({ built, actual }) => built !== actual);
    if (found.length === 0) continue;
    const atSource = source && await readVersions(source, database, 'true').catch(() => null);
    for (const version of found) {
      const described = describe(database, version);
      differing.push(described);
      const original = atSource?.find((one) => one.key === version.key);
      if (!original) unexplained.push(described);
      else if (original.actual !== version.actual) otherHost.push(`${described}, at the source ${original.actual ?? 'none'}`);
      else if (original.built !== version.built) outdated.push(described);
    }
  }
  if (differing.length === 0) return [{ name, outcome: 'passed', detail: `indexes were built with the collations of this host${left.length > 0 ? `; not looked at, since nobody can connect to them by now: ${listed(left)}` : ''}${forbidden.length > 0 ? `; not looked at, since who reads the copy may not connect to them: ${listed(forbidden)}` : ''}` }];
  if (outdated.length > 0) return [{ name, outcome: 'failed', detail: `${listed(outdated)}; restore on a host with the same libraries, or REINDEX after restoring` }];
  if (otherHost.length > 0) return [{ name, outcome: 'skipped', detail: `this host sorts by another library than the source's: ${listed(otherHost)}; set postgres.binDirectory to the PostgreSQL that the source runs, or drill on a host like it` }];
  // Whether the restore made it so, or the source had it, only the source could say.
  if (unexplained.length > 0) return [{ name, outcome: 'skipped', detail: `the source could not be asked whether it runs so too: ${listed(unexplained)}` }];
  return [{ name, outcome: 'passed', detail: `as at the source, whose own indexes may be wrong: ${listed(differing)}; REINDEX there, then ALTER DATABASE or COLLATION … REFRESH VERSION` }];
}

/** Databases to which connections are taken. */
async function openDatabases(copy: Address, at: string): Promise<ReadonlySet<string>> {
  const { rows } = await overAnyDatabase(copy, at, (client) => client.query<{ name: string }>('SELECT datname AS name FROM pg_database WHERE datallowconn AND datconnlimit <> -2'));
  return new Set(rows.map(({ name }) => name));
}

/**
 * True of a collation (its oid is `used.oid`) that decides where something lies, or what a query leaves out. An index of
 * an unlogged table is built anew. Expressions name theirs within: the index of one that compares is itself of no
 * collation, and of the default one no dependency is kept. Values of jsonb are sorted by the default, and composite ones by
 * the collations of their fields; where such are indexed, those of all columns count.
 */
const USED = `used.oid IN (
  WITH kept AS (SELECT i.* FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid WHERE c.relpersistence = 'p'),
  sorted AS (
    SELECT coalesce(nullif(t.typbasetype, 0), t.oid) AS type, coalesce(e.typcategory, t.typcategory) AS category
      FROM kept JOIN pg_attribute a ON a.attrelid = kept.indexrelid JOIN pg_type t ON t.oid = a.atttypid LEFT JOIN pg_type e ON e.oid = t.typelem)
  SELECT unnest(indcollation::oid[]) FROM kept
  UNION ALL SELECT rngcollation FROM pg_range
  UNION ALL SELECT unnest(partcollation::oid[]) FROM pg_partitioned_table
  UNION ALL SELECT found[1]::oid FROM (
    SELECT concat(indexprs, indpred) FROM kept UNION ALL SELECT partexprs::text FROM pg_partitioned_table UNION ALL SELECT conbin::text FROM pg_constraint WHERE conrelid <> 0
  ) AS expression (tree), regexp_matches(tree, ':[a-z_]*coll(?:id|Oid|ation)s? (?:[(]o )?([0-9]+)', 'g') AS found
  UNION ALL SELECT '"default"'::regcollation::oid WHERE EXISTS (SELECT FROM sorted WHERE type IN ('jsonb'::regtype, 'jsonb[]'::regtype))
  UNION ALL SELECT attcollation FROM pg_attribute WHERE EXISTS (SELECT FROM sorted WHERE category = 'C'))`;

async function readVersions(address: Address, database: string, which: string): Promise<Version[]> {
  return withClient(address(database), async (client) => {
    const { rows } = await client.query<Version>(
      `SELECT concat_ws('.', (SELECT nspname FROM pg_namespace n WHERE n.oid = collnamespace), collname) AS key, format('%I.%I', collnamespace::regnamespace::text, collname) AS name, collversion AS built, pg_collation_actual_version(oid) AS actual
         FROM pg_collation AS used WHERE collversion IS NOT NULL AND collencoding IN (-1, (SELECT encoding FROM pg_database WHERE datname = current_database())) AND ${which}`);
    const { rows: [version] } = await client.query<{ number: string }>(`SELECT current_setting('server_version_num') AS number`);
    if (Number(version?.number) < 150_000) return rows;
    // What is sorted by the default of its database has the collation "default", which has no version itself.
    const { rows: own } = await client.query<Version>(
      `SELECT 'database' AS key, format('database %I', datname) AS name, datcollversion AS built, pg_database_collation_actual_version(d.oid) AS actual
         FROM pg_database d, pg_collation AS used WHERE datname = current_database() AND datcollversion IS NOT NULL AND used.oid = '"default"'::regcollation AND ${which}`);
    return [...rows, ...own];
  });
}

function describe(database: string, { name, built, actual }: Version): string {
  const own = `${name} (built with ${built}, here ${actual ?? 'none'})`;
  return name.startsWith('database ') ? own : `${database}: ${own}`;
}

function listed(names: readonly string[]): string {
  return `${names.slice(0, 5).join('; ')}${names.length > 5 ? ` and ${names.length - 5} more` : ''}`;
}
