import type { Client } from 'pg';
import { defaultLimits, type ManifestLimits } from '../../activities/manifest/limits.ts';
import { takeManifest } from '../../activities/manifest/take-manifest.ts';
import type { Manifest } from '../../contracts/manifest.ts';
import type { Server } from './postgres.ts';

/** Who waits for a table because of an intercepted manifest, waits this long, until the next look, and a little. */
export const LIMIT_MS = 1_000;
/** All of that together: whatever takes longer has waited for something else. */
export const SOON_MS = LIMIT_MS + 1_000 + 2_000;

/** What is done before a statement of the reading, which is then what this returns. */
export type Before = (query: { text: string; client: Client; run: (text: string) => Promise<unknown> }) => Promise<string>;

/** Takes manifests of a server's database `postgres` as a role `backup`, or another one; each statement of their connections goes through `before` first. */
export async function takeIntercepted(server: Server, before: Before, limits: Partial<ManifestLimits> = {}, role = 'backup'): Promise<Manifest> {
  const onceConnected = async (client: Client): Promise<void> => {
    const query = client.query.bind(client) as (...args: unknown[]) => Promise<unknown>;
    const changed = async (asked: unknown, ...more: unknown[]): Promise<unknown> => {
      if (typeof asked === 'string') return query(await before({ text: asked, client, run: query }), ...more);
      // A prepared one stays what it is.
      if (typeof asked === 'object' && asked !== null && 'text' in asked) await before({ text: String(asked.text), client, run: query });
      return query(asked, ...more);
    };
    client.query = changed as never;
  };
  return takeManifest({
    connect: (database) => ({ ...server.config(database), user: role, password: role, guard: { beforeConnecting: async () => undefined, onceConnected, hold: () => Promise.reject(new Error('no program')) } }),
    databases: ['postgres'], applicationName: 'manifest-test', signal: new AbortController().signal, limits: { ...defaultLimits, connections: 1, bucketBytes: 16 * 1024, maxBlockingMs: LIMIT_MS, ...limits },
  });
}

/** As the documentation makes it: it may look at locks, and end what it does itself. */
export const CREATE_BACKUP_ROLE = `CREATE ROLE backup LOGIN REPLICATION PASSWORD 'backup' IN ROLE pg_read_all_data, pg_read_all_settings`;

/** Whether a statement reads rows of a table. */
export const isBucketOf = (table: string, text: string): boolean => text.includes(`"${table}"`) && text.includes('count(*)');

/** Runs a statement in a session of its own, and says how long that took. */
export async function timed(server: Server, sql: string): Promise<number> {
  const started = performance.now();
  await server.withClient('postgres', (client) => client.query(sql));
  return performance.now() - started;
}

/** Names of the tables that a manifest of one database proves. */
export const tablesOf = ({ databases: [database] }: Manifest): string[] => database?.tables.map(({ name }) => name).sort() ?? [];
