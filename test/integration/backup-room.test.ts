import { execFile } from 'node:child_process';
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { takeBaseBackup } from '../../activities/archive/base-backup.ts';
import type { DatabaseSettings } from '../../contracts/configuration.ts';
import { examineBackups } from '../../scripts/cli/doctor-backups.ts';
import { Findings } from '../../scripts/cli/doctor-finding.ts';
import { examineSource } from '../../scripts/cli/doctor-source.ts';
import { hostName } from '../../workers/host.ts';
import { type ArchivedSource, startArchivedSource } from '../support/archived-source.ts';
import { backupConfiguration, PASSES, planBackup, refused } from '../support/planned-backup.ts';
import { createPrivateDirectory } from '../support/postgres.ts';

let source: ArchivedSource;
/** Has room for an empty cluster, and not for a table of 80 MB beside it. */
let small: string;
let isMounted = false;
beforeAll(async () => {
  source = await startArchivedSource();
  small = createPrivateDirectory('small');
  isMounted = process.getuid?.() === 0 && await promisify(execFile)('mount', ['-t', 'tmpfs', '-o', 'size=64m', 'small', small]).then(() => true, () => false);
});
afterAll(async () => {
  if (isMounted) await promisify(execFile)('umount', ['-l', small]);
  await source.server.stop();
});

const execute = (sql: string) => source.server.withClient('postgres', (client) => client.query(sql));
const configuration = () => backupConfiguration({ server: source.server, repository: small, walDirectory: source.layout.wal });
/** What the doctor says of room for a backup, before the first one is taken; on a host that is named, or where none is. */
async function doctor(host?: string) {
  const findings = new Findings('shop');
  const all = configuration();
  const settings: DatabaseSettings = { ...all.databases['shop']!, host };
  await examineBackups(settings, all, await examineSource(settings, findings), findings);
  return findings.all.filter(({ name }) => name === 'room for a backup');
}

test('a database that is mostly unlogged needs no room for that, since no backup copies it', async ({ skip }) => {
  if (!isMounted) return skip('only root can mount a small file system, and not on every host');
  await execute(`CREATE UNLOGGED TABLE cache AS SELECT g AS id, repeat('x', 1000) AS value FROM generate_series(1, 80000) g`);
  await execute('CHECKPOINT');
  try {
    const plan = await planBackup(configuration());
    expect(plan).toEqual(PASSES);
    expect(plan.sizeBytes).toBeGreaterThan(80_000_000);
    expect(await doctor(hostName())).toEqual([]);
    const incoming = join(small, 'part');
    mkdirSync(incoming);
    const point = await takeBaseBackup({ id: 'b1', connection: source.server.config(), applicationName: 'room', incoming, walDirectory: source.layout.wal, archiveTimeoutMs: 600_000, reserveBytes: 0 });
    expect(point.sizeBytes).toBeLessThan(64 * 2 ** 20);
  } finally {
    await execute('DROP TABLE cache');
  }
});

test('a source that has outgrown its repository is refused, and the doctor says so before the first backup', async ({ skip }) => {
  if (!isMounted) return skip('only root can mount a small file system, and not on every host');
  await execute(`CREATE TABLE grown AS SELECT g AS id, repeat('x', 1000) AS value FROM generate_series(1, 80000) g`);
  try {
    const said = /has \d+ MiB free and the backup needs \d+ MiB \(\d+ MiB to copy, and a reserve of 0 MiB\)/;
    expect(await doctor()).toMatchObject([{ outcome: 'warning', detail: expect.stringMatching(new RegExp(`${said.source}$`)) as string }]);
    // One that is named takes the backups.
    expect(await doctor(hostName())).toMatchObject([{ outcome: 'problem', todo: expect.stringContaining('provider.repository') as string }]);
    await expect(planBackup(configuration())).rejects.toMatchObject(refused(said));
  } finally {
    await execute('DROP TABLE grown');
  }
});
