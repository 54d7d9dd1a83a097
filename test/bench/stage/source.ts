import { lchown, readdir, rm, symlink } from 'node:fs/promises';
import { join } from 'node:path';
import { Client } from 'pg';
import type { PostgresBinaries } from '../../../activities/postgres/binaries.ts';
import { startProduction, type Production } from '../../../scripts/demo/production.ts';
import type { DataSet } from './data-set.ts';
import { execute } from './run.ts';

/** Files that carry paths, ports and access rules of their own server. */
const OWN_FILES = new Set(['postgresql.conf', 'postgresql.auto.conf', 'pg_hba.conf', 'pg_ident.conf']);

/** Starts a "production" server that holds a prepared data set, with a WAL archive of its own. Aborted by the signal, it copies no further. */
export async function startSource({ root, dataSet, binaries, signal }: { root: string; dataSet: DataSet; binaries: PostgresBinaries; signal: AbortSignal }): Promise<Production> {
  const production = await startProduction({ root, binaries, log: () => undefined });
  await production.stop();
  const { dataDirectory, tablespaceDirectory } = production;
  const { runAs } = binaries;
  const control = (...args: string[]) => execute(join(binaries.binDirectory, 'pg_ctl'), ['-D', dataDirectory, '-w', '-s', ...args], { cwd: root, ...runAs });

  for (const name of await readdir(dataDirectory)) if (!OWN_FILES.has(name)) await rm(join(dataDirectory, name), { recursive: true });
  for (const name of await readdir(join(dataSet.directory, 'data'))) {
    if (!OWN_FILES.has(name)) await execute('cp', ['-a', '--reflink=auto', join(dataSet.directory, 'data', name), dataDirectory], { signal });
  }
  await execute('cp', ['-a', '--reflink=auto', `${dataSet.directory}/tablespace/.`, tablespaceDirectory], { signal });
  for (const oid of await readdir(join(dataDirectory, 'pg_tblspc'))) {
    const link = join(dataDirectory, 'pg_tblspc', oid);
    await rm(link);
    await symlink(tablespaceDirectory, link);
    if (runAs) await lchown(link, runAs.uid, runAs.gid);
  }
  await control('start', '-t', '60', '-l', join(root, 'server.log'));
  const stop = async () => {
    await control('stop', '-m', 'fast').catch((error: Error) => { if (!/no server running|PID file .* does not exist/i.test(error.message)) throw error; });
    await production.stop();
  };
  try {
    const client = new Client(production.config);
    await client.connect();
    // The data set brings the password of the server that loaded it.
    await client.query(`ALTER ROLE ${client.escapeIdentifier(production.superuser.user)} PASSWORD ${client.escapeLiteral(production.superuser.password)}`).finally(() => client.end());
  } catch (error) {
    await stop();
    throw error;
  }
  return { ...production, stop };
}
