import { userInfo } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { RecoveryFailure } from '../archive/recovery-failure.ts';
import { withDrillClient } from './client.ts';
import { type Drill, drillPaths } from './drill.ts';
import { replaceFile } from './hostile-files.ts';

/** How long a server may take to read its configuration once more. */
const RELOAD_MS = 10_000;

/** Who may connect: only the worker's own user of this host, by the private socket, as any role of the copy. */
export async function writeAccess(drill: Pick<Drill, 'directory'>, roleNames: readonly string[]): Promise<void> {
  const paths = drillPaths(drill.directory);
  const user = userInfo().username;
  await replaceFile(join(paths.conf, 'pg_hba.conf'), 'local all all peer map=drill\n', { mode: 0o644 });
  // A leading slash would make a name a regular expression, and a name may not span lines.
  const plain = roleNames.filter((name) => !name.startsWith('/') && !/[\r\n]/.test(name));
  const lines = plain.map((name) => `drill ${identQuote(user)} ${identQuote(name)}\n`);
  await replaceFile(join(paths.conf, 'pg_ident.conf'), lines.join(''), { mode: 0o644 });
}

/**
 * Lets the worker in as the roles that a promoted copy has: since the base backup some were made and others renamed, which
 * came with the WAL. When it returns, the server knows. Safe to repeat.
 */
export async function renewAccess(drill: Drill, signal?: AbortSignal): Promise<void> {
  await withDrillClient(drill, drill.maintenanceDatabase, async (client) => {
    const { rows } = await client.query<{ name: string }>(`SELECT rolname::text AS name FROM pg_roles WHERE rolname !~ '^pg_'`);
    const loadedAt = async () => (await client.query<{ at: string }>('SELECT pg_conf_load_time()::text AS at')).rows[0]?.at;
    const before = await loadedAt();
    signal?.throwIfAborted();
    await writeAccess(drill, rows.map(({ name }) => name));
    await client.query('SELECT pg_reload_conf()');
    // The server tells its sessions in the middle of reading, and takes no connection before it has read all.
    for (const deadline = Date.now() + RELOAD_MS; (await loadedAt()) === before; await sleep(5)) {
      signal?.throwIfAborted();
      if (Date.now() > deadline) throw new RecoveryFailure('SERVER_DID_NOT_START', `The restored server did not read within ${RELOAD_MS / 1000} s who may log in.`);
    }
  });
}

function identQuote(name: string): string {
  return `"${name.replaceAll('"', '""')}"`;
}
