import { mkdtemp, readdir, rm, chmod } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, dirname, join } from 'node:path';
import { Client } from 'pg';
import type { PostgresBinaries } from '../../../activities/postgres/binaries.ts';
import { loadShop } from '../../../scripts/demo/load.ts';
import { startProduction } from '../../../scripts/demo/production.ts';
import { fillAtomically } from '../../../scripts/embedded/fill-atomically.ts';
import { cacheDirectory } from '../../../workers/user-directories.ts';
import { execute } from './run.ts';

/** Raised when the same size would give other data. */
const DATA_VERSION = 1;
/** Measured with `loadShop` at scale 1, indexes included. */
const BYTES_AT_SCALE_1 = 300 * 2 ** 20;

/** Server files of a database that was stopped cleanly: `data/` and `tablespace/`. */
export interface DataSet { directory: string }

/**
 * The demo's shop at a size, loaded once and kept in the cache. Data sets of the same name but other versions go when a
 * new one is made: they are large, and nobody would miss them.
 * @param of `signal`: aborted, it ends what loads, and nothing of that is left once this has rejected
 */
export async function preparedDataSet({ bytes, binaries, log, signal }: { bytes: number; binaries: PostgresBinaries; log: (line: string) => void; signal: AbortSignal }): Promise<DataSet> {
  // The shop's partitions follow the calendar: last month's data has none for orders of next month.
  const month = new Date().toISOString().slice(0, 7);
  const prefix = `bench-shop-${Math.round(bytes / 2 ** 20)}MB-`;
  const directory = join(cacheDirectory(), `${prefix}v${DATA_VERSION}-pg${binaries.version}-${month}`);
  if ((await readdir(directory).catch(() => [])).length > 0) return { directory };
  log(`loading a database of ${Math.round(bytes / 2 ** 20)} MiB, once; it stays in ${directory}`);
  await fillAtomically(directory, (unfinished) => load({ bytes, binaries, log, signal, into: unfinished }));
  for (const name of await readdir(dirname(directory))) {
    if (name.startsWith(prefix) && name !== basename(directory)) await rm(join(dirname(directory), name), { recursive: true, force: true });
  }
  return { directory };
}

async function load({ bytes, binaries, log, signal, into }: { bytes: number; binaries: PostgresBinaries; log: (line: string) => void; signal: AbortSignal; into: string }): Promise<void> {
  const root = await mkdtemp(join(tmpdir(), 'runbooks-bench-load-'));
  try {
    // The database server's user must be able to walk through.
    await chmod(root, 0o711);
    const production = await startProduction({
      root: join(root, 'production'), binaries, log: () => undefined,
      // Nobody reads this server's WAL, and a crash would begin the load again.
      settings: { fsync: 'off', full_page_writes: 'off', wal_level: 'minimal', max_wal_senders: '0', archive_mode: 'off', max_wal_size: '16GB', shared_buffers: '512MB', autovacuum: 'off' },
    });
    // What loads fails when its server goes, and is done with here.
    const abandon = () => void production.stop().catch(() => undefined);
    signal.addEventListener('abort', abandon, { once: true });
    try {
      signal.throwIfAborted();
      const { databaseBytes, seconds } = await loadShop({ config: production.config, tablespaceDirectory: production.tablespaceDirectory, scale: bytes / BYTES_AT_SCALE_1, seed: 1 });
      log(`loaded ${Math.round(databaseBytes / 2 ** 20)} MiB in ${seconds.toFixed(0)} s`);
      // As autovacuum leaves it in a database that has been there for a while.
      const client = new Client(production.config);
      await client.connect();
      await client.query('VACUUM (ANALYZE)').finally(() => client.end());
    } finally {
      signal.removeEventListener('abort', abandon);
      await production.stop();
    }
    for (const part of ['data', 'tablespace']) await execute('cp', ['-a', '--reflink=auto', join(root, 'production', part), into], { signal });
  } finally {
    await rm(root, { recursive: true, force: true });
  }
}
