import { execFile } from 'node:child_process';
import { dirname } from 'node:path';
import { promisify } from 'node:util';
import { backUpByCopy, runAs, startServer, type Server, type Settings } from './postgres.ts';

/** A physical copy of a server, recovered to the end of what that had by now, and opened for writing, as a managed service restores it. */
export async function openedCopy(source: Server, settings: Settings): Promise<Server> {
  const directory = await backUpByCopy(source);
  await source.withClient('postgres', (client) => client.query('SELECT pg_switch_wal()'));
  await promisify(execFile)('touch', [`${directory}/recovery.signal`], { ...runAs() });
  const server = await startServer({ dataDirectory: directory, owns: dirname(directory), settings: { ...settings, restore_command: `cp ${source.dataDirectory}/pg_wal/%f %p`, archive_mode: 'off', fsync: 'off', autovacuum: 'off', hot_standby: 'on' } });
  const isStandby = () => server.withClient('postgres', async (client) => (await client.query<{ standby: boolean }>('SELECT pg_is_in_recovery() AS standby')).rows[0]?.standby);
  while (await isStandby()) await new Promise((resolve) => setTimeout(resolve, 50));
  // One that was prepared at that instant would keep its locks for good.
  await server.withClient('postgres', async (client) => {
    for (const { gid } of (await client.query<{ gid: string }>('SELECT gid FROM pg_prepared_xacts')).rows) await client.query(`ROLLBACK PREPARED '${gid}'`);
  });
  return server;
}
