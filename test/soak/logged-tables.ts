import type { Manifest } from '../../contracts/manifest.ts';
import type { ConnectionConfig } from '../../scripts/demo/production.ts';
import { withClient } from '../support/user-clients.ts';

/**
 * Everything of a database that has rows and is logged, by a query of our own: what a manifest must hold. Call it while
 * nobody makes or drops tables.
 */
export async function readLoggedTables(config: ConnectionConfig): Promise<Set<string>> {
  return withClient(config, async (client) => {
    const { rows } = await client.query<{ name: string }>(
      `SELECT oid::regclass::text AS name FROM pg_class
       WHERE relkind IN ('r', 'm') AND relpersistence = 'p' AND oid >= 16384 AND relnamespace <> 'pg_toast'::regnamespace
       UNION ALL VALUES ('pg_largeobject'), ('pg_largeobject_metadata')`);
    return new Set(rows.map((row) => row.name));
  });
}

/** How many logged tables the source had at the manifest's position: the constant ones, and those that came and went. */
export function loggedTablesAt(manifest: Manifest, database: string, constant: number): number {
  const tables = manifest.databases.find((entry) => entry.database === database)?.tables ?? [];
  const rows = (name: string) => {
    const table = tables.find((one) => one.schema === 'soak' && one.name === name);
    if (!table) throw new Error(`the manifest does not hold soak.${name}`);
    return table.rows;
  };
  return constant + rows('made') - rows('dropped');
}
