import { createHash } from 'node:crypto';
import { readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import type { Environment } from './environment.ts';
import { withClient } from '../support/user-clients.ts';

/** What a drill must leave as it was. */
export type SourceState = Record<string, string>;

/** Settings, slots, subscriptions and definitions of the source, and every file of its backups and its WAL archive. */
export async function readSource({ production, root }: Environment): Promise<SourceState> {
  const state: SourceState = await withClient(production.config, async (client) => {
    const found: SourceState = { server: String(production.pid) };
    for (const [name, query] of [
      ['settings', 'SELECT name, setting, source, pending_restart FROM pg_settings ORDER BY name'],
      ['settings of roles', 'SELECT setdatabase, setrole, setconfig FROM pg_db_role_setting ORDER BY 1, 2'],
      ['slots', 'SELECT slot_name, plugin, slot_type, active FROM pg_replication_slots ORDER BY 1'],
      ['roles', 'SELECT rolname, rolsuper, rolcanlogin FROM pg_roles ORDER BY 1'],
      ['databases', 'SELECT datname, datallowconn FROM pg_database ORDER BY 1'],
      ['relations', 'SELECT oid, relname, relfilenode, relkind FROM pg_class WHERE oid >= 16384 ORDER BY oid'],
      ['prepared transactions', 'SELECT gid FROM pg_prepared_xacts ORDER BY 1'],
    ] as const) found[name] = digest((await client.query({ text: query, rowMode: 'array' })).rows);
    return found;
  });
  for (const directory of [join(root, 'backups'), production.archiveDirectory]) {
    for (const entry of await readdir(directory, { recursive: true, withFileTypes: true })) {
      // The archiver's own half-written files come and go.
      if (!entry.isFile() || entry.name.startsWith('.')) continue;
      const path = join(entry.parentPath, entry.name);
      const { size, mtimeMs, ino } = await stat(path);
      state[path] = `${size} bytes, ${mtimeMs}, ${ino}`;
    }
  }
  return state;
}

/** What changed at the source. New segments of its own WAL are the source's own doing. */
export function sourceChanges(before: SourceState, after: SourceState): string[] {
  const changed = Object.keys(before).filter((name) => before[name] !== after[name]);
  const added = Object.keys(after).filter((name) => !(name in before) && !/\/[0-9A-F]{24}$/.test(name));
  return [...changed, ...added].map((name) => `${name} of the source changed`);
}

/** Sessions and slots of runs that are still at the source. */
export async function readSourceSessions({ production }: Environment): Promise<string[]> {
  return withClient({ ...production.config, application_name: 'faults' }, async (client) => {
    const { rows } = await client.query<{ what: string }>(
      `SELECT 'session ' || application_name AS what FROM pg_stat_activity WHERE application_name LIKE 'runbook%' UNION ALL SELECT 'slot ' || slot_name FROM pg_replication_slots`);
    return rows.map(({ what }) => what);
  });
}

function digest(value: unknown): string {
  return createHash('sha256').update(JSON.stringify(value)).digest('hex');
}
