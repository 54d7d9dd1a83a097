import type { ClientConfig } from 'pg';
import type { Check } from '../../contracts/evidence.ts';
import { withClient } from '../postgres/source.ts';

type Address = (database: string) => ClientConfig;

/**
 * Whether the collations of the copy are those that its indexes were built with. With another version, text indexes may
 * miss rows and unique ones admit duplicates, and the application would find that out, not the comparison, which reads
 * without them. PostgreSQL keeps versions of collations, and since 15 of databases too. What differs in the same way at
 * the source (null where it does not answer) came from there, and the restore is as good as its source.
 */
export async function checkCollations(copy: Address, source: Address | null, databases: readonly string[]): Promise<Check[]> {
  const name = 'collation versions';
  const differing: string[] = [];
  const unexplained: string[] = [];
  const here: string[] = [];
  for (const database of databases) {
    const found = await findDiffering(copy, database);
    differing.push(...found);
    if (found.length === 0) continue;
    const atSource = source && await findDiffering(source, database).catch(() => null);
    if (atSource) here.push(...found.filter((one) => !atSource.includes(one)));
    else unexplained.push(...found);
  }
  if (differing.length === 0) return [{ name, outcome: 'passed', detail: 'indexes were built with the collations of this host' }];
  if (here.length > 0) return [{ name, outcome: 'failed', detail: `${listed(here)}; restore on a host with the same libraries, or REINDEX after restoring` }];
  // Whether the restore made it so, or the source had it, only the source could say.
  if (unexplained.length > 0) return [{ name, outcome: 'skipped', detail: `the source could not be asked whether it runs so too: ${listed(unexplained)}` }];
  return [{ name, outcome: 'passed', detail: `as at the source, whose own indexes may be wrong: ${listed(differing)}; REINDEX there, then ALTER DATABASE or COLLATION … REFRESH VERSION` }];
}

async function findDiffering(address: Address, database: string): Promise<string[]> {
  return withClient(address(database), async (client) => {
    const { rows } = await client.query<{ name: string }>(
      `SELECT format('%I.%I (built with %s, here %s)', collnamespace::regnamespace::text, collname, collversion, pg_collation_actual_version(oid)) AS name
         FROM pg_collation WHERE collversion IS DISTINCT FROM pg_collation_actual_version(oid) AND collversion IS NOT NULL`);
    const named = rows.map(({ name }) => `${database}: ${name}`);
    const { rows: [version] } = await client.query<{ number: string }>(`SELECT current_setting('server_version_num') AS number`);
    if (Number(version?.number) < 150_000) return named;
    const { rows: own } = await client.query<{ name: string }>(
      `SELECT format('database %I (built with %s, here %s)', datname, datcollversion, pg_database_collation_actual_version(oid)) AS name
         FROM pg_database WHERE datname = current_database() AND datcollversion IS NOT NULL AND datcollversion IS DISTINCT FROM pg_database_collation_actual_version(oid)`);
    return [...named, ...own.map(({ name }) => name)];
  });
}

function listed(names: readonly string[]): string {
  return `${names.slice(0, 5).join('; ')}${names.length > 5 ? ` and ${names.length - 5} more` : ''}`;
}
