import { mkdir, writeFile } from 'node:fs/promises';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { Client } from 'pg';
import type { BackupFiles } from '../../../contracts/recovery-point.ts';
import { listTables } from '../../../activities/manifest/tables.ts';
import type { Site } from './site.ts';

/** Below it a measurement only shows that the bench runs. */
const TINY_ROWS = 1_000_000;

const DATABASE = 'shop';
/** What the configuration gives a drill when it says nothing. */
export const DRILL_CONNECTIONS = 2;

/**
 * What `drill.sh` is told, made ahead and not timed: the sums of the backup's files, and for every table the very
 * fingerprint that our comparison computes with what it must be at the manifest's position.
 */
export async function scriptDrillVariables(site: Site): Promise<Record<string, string>> {
  const { point, files, manifest, layout, backup } = await site.recoveryPoint('shop');
  const { config } = await site.source('shop');
  const { binDirectory, runAs } = await site.binaries();
  const at = (name: string) => join(site.root, 'script', name);
  for (const name of ['queries', 'expected']) await mkdir(at(name), { recursive: true });
  await writeSums(at('sums'), files);
  await writeFile(at('settings'), Object.entries({
    ...point.settings, max_replication_slots: 500, max_active_replication_origins: 500, hot_standby: 'on', autovacuum: 'off', archive_mode: 'off', listen_addresses: '',
    recovery_target_timeline: point.timeline, recovery_target_inclusive: 'off', max_logical_replication_workers: 0, event_triggers: 'off',
  }).map(([name, value]) => `${name} = '${value}'\n`).join(''));
  const expected = manifest.databases.find(({ database }) => database === DATABASE);
  const client = new Client(config);
  await client.connect();
  const { tables } = await listTables(client, manifest.serverVersionNum).finally(() => client.end());
  const bySize = (expected?.tables ?? []).toSorted((a, b) => b.bytes - a.bytes);
  let rows = 0;
  for (const [index, table] of bySize.entries()) {
    const known = tables.find(({ schema, name, method }) => schema === table.schema && name === table.name && method === table.method);
    // Writers make and drop tables; what is gone by now cannot be asked for.
    if (!known) continue;
    rows += table.rows;
    const name = String(index).padStart(4, '0');
    await writeFile(at(`queries/${name}`), `SELECT count(*), coalesce(sum(${known.expression}), 0) FROM ${known.from};\n`);
    await writeFile(at(`expected/${name}`), `${table.rows}|${table.fingerprint}\n`);
  }
  const all = bySize.reduce((sum, table) => sum + table.rows, 0);
  // A script that compares less than we do would be fast, and no baseline. In a tiny sample one table that the writers
  // altered since is a tenth of all, and nothing is concluded from it.
  if (all > TINY_ROWS && rows < all * 0.99) throw new Error(`the script would compare ${rows} of ${all} rows`);
  return {
    HOME: site.root, BACKUP: backup, WAL: layout.wal, SUMS: at('sums'), SETTINGS: at('settings'), QUERIES: at('queries'), EXPECTED: at('expected'), DRILL: join(site.root, 'script-drill'),
    BIN: binDirectory, OWNER: runAs ? `${runAs.uid}:${runAs.gid}` : '', LSN: expected?.lsn ?? '', SUPERUSER: point.bootstrapSuperuser, DATABASE,
    CONNECTIONS: String(DRILL_CONNECTIONS), JOBS: String(availableParallelism()),
  };
}

/** What sha256sum reads, largest file first. */
export async function writeSums(file: string, { files }: BackupFiles): Promise<void> {
  await writeFile(file, files.toSorted((a, b) => b.size - a.size).map(({ path, sha256 }) => `${sha256}  ${path}\n`).join(''));
}
