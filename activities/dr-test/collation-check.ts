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
  const differing = await findDiffering(copy, databases);
  if (differing.length === 0) return [{ name, outcome: 'passed', detail: 'indexes were built with the collations of this host' }];
  const atSource = new Set(source ? await findDiffering(source, databases).catch(() => []) : []);
  const here = differing.filter((one) => !atSource.has(one));
  if (here.length > 0) return [{ name, outcome: 'failed', detail: `${listed(here)}; restore on a host with the same libraries, or REINDEX after restoring` }];
  return [{ name, outcome: 'passed', detail: `as at the source, whose own indexes may be wrong: ${listed(differing)}; REINDEX there, then ALTER DATABASE or COLLATION … REFRESH VERSION` }];
}

async function findDiffering(address: Address, databases: readonly string[]): Promise<string[]> {
  const differing: string[] = [];
  for (const database of databases) {
    await withClient(address(database), async (client) => {
      const { rows } = await client.query<{ name: string }>(
        `SELECT format('%I.%I (built with %s, here %s)', collnamespace::regnamespace::text, collname, collversion, pg_collation_actual_version(oid)) AS name
           FROM pg_collation WHERE collversion IS DISTINCT FROM pg_collation_actual_version(oid) AND collversion IS NOT NULL`);
      differing.push(...rows.map(({ name }) => `${database}: ${name}`));
      const { rows: [version] } = await client.query<{ number: string }>(`SELECT current_setting('server_version_num') AS number`);
      if (Number(version?.number) < 150_000) return;
      const { rows: own } = await client.query<{ name: string }>(
        `SELECT format('database %I (built with %s, here %s)', datname, datcollversion, pg_database_collation_actual_version(oid)) AS name
           FROM pg_database WHERE datname = current_database() AND datcollversion IS NOT NULL AND datcollversion IS DISTINCT FROM pg_database_collation_actual_version(oid)`);
      differing.push(...own.map(({ name }) => name));
    });
  }
  return differing;
}

function listed(names: readonly string[]): string {
  return `${names.slice(0, 5).join('; ')}${names.length > 5 ? ` and ${names.length - 5} more` : ''}`;
}
