import { execFile, execFileSync } from 'node:child_process';
import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import { afterAll, beforeAll, beforeEach, describe, expect, test, vi } from 'vitest';
import { takeBaseBackup } from '../../activities/archive/base-backup.ts';
import { openBackupPlace } from '../../activities/backup/backup-place.ts';
import { whatLacks } from '../../activities/backup/preflight.ts';
import { classify } from '../../activities/temporal/classify.ts';
import type { DatabaseSettings } from '../../contracts/configuration.ts';
import { examineBackups } from '../../scripts/cli/doctor-backups.ts';
import { Findings } from '../../scripts/cli/doctor-finding.ts';
import { type ArchivedSource, startArchivedSource } from '../support/archived-source.ts';
import { PATIENT } from '../support/patience.ts';
import { backupConfiguration, OWNER, PASSES, planBackup, refused, tried } from '../support/planned-backup.ts';
import { createPrivateDirectory, startCluster, type Server } from '../support/postgres.ts';
import { archiveUpToNow, closeSegment } from '../support/wal-segments.ts';

const isRoot = process.getuid?.() === 0;

let source: ArchivedSource;
let root: string;
let repository: string;
let number = 0;
beforeAll(async () => {
  source = await startArchivedSource();
  root = createPrivateDirectory('preflight');
});
afterAll(() => source.server.stop());
beforeEach(() => {
  number += 1;
  repository = join(root, `repository-${number}`);
  mkdirSync(repository);
});

const execute = (sql: string) => source.server.withClient('postgres', (client) => client.query(sql));
function configurationOf({ server = source.server, walDirectory = source.layout.wal, in: directory = repository, reserve = '0MiB' }: { server?: Server; walDirectory?: string; in?: string; reserve?: string }) {
  return backupConfiguration({ server, walDirectory, repository: directory, reserve });
}
const plan = (over: Parameters<typeof configurationOf>[0] = {}, copiesFiles = true) => planBackup(configurationOf(over), copiesFiles);

describe('what would not be archived is not backed up', () => {
  test('a source that has archived nothing yet is no worse for that', async () => {
    expect(readdirSync(source.layout.wal)).toEqual([]);
    expect(await plan()).toEqual(PASSES);
    expect(await plan({ walDirectory: join(root, 'is-made-by-archive-command') })).toEqual(PASSES);
    expect(readdirSync(source.layout.wal)).toEqual([]);
  });

  test.each([
    [{}, 'archive_mode is off: nothing can be recovered after the last base backup; set archive_mode = on and archive_command to copy into provider.walDirectory, then restart the source'],
    [{ archive_mode: 'on' }, 'archive_command is empty: WAL is kept and not archived; set archive_command to copy into provider.walDirectory, and reload the source'],
  ])('with settings such as %o', async (settings, said) => {
    const server = await startCluster({ logical: true, settings });
    try {
      await expect(plan({ server })).rejects.toMatchObject(refused(`archiver: ${said}`));
    } finally {
      await server.stop();
    }
  });

  test('nothing of its WAL is where the configuration says, though it was archived', async () => {
    await source.server.withClient('postgres', (client) => archiveUpToNow(client, source.layout.wal));
    expect(await plan()).toEqual(PASSES);
    const empty = join(root, 'empty');
    mkdirSync(empty);
    for (const copiesFiles of [true, false]) {
      // The source says a moment later that it has archived something.
      await vi.waitFor(() => expect(plan({ walDirectory: empty }, copiesFiles)).rejects.toMatchObject(refused(/^WAL archive: .*\/empty does not hold [0-9A-F]{24}, which the source archived last; it holds nothing of a WAL archive; correct provider\.walDirectory .*, SELECT pg_switch_wal\(\) and start again$/)), PATIENT);
    }
    await expect(plan({ walDirectory: join(empty, 'not-there') })).rejects.toMatchObject(refused(/^WAL archive: ENOENT.*provider\.walDirectory$/));
  });

  test('what is shipped to the archive later is waited for, as always', async () => {
    const shipped = join(root, 'shipped');
    mkdirSync(shipped);
    const [first] = readdirSync(source.layout.wal);
    writeFileSync(join(shipped, first!), readFileSync(join(source.layout.wal, first!)));
    await source.server.withClient('postgres', async (client) => {
      await client.query(`SELECT pg_create_restore_point('more to archive')`);
      await archiveUpToNow(client, source.layout.wal);
    });
    expect(await plan({ walDirectory: shipped })).toEqual(PASSES);
  });

  test('WAL that was archived long ago may have been removed, and says nothing', async () => {
    const found = (secondsAgo: number) => whatLacks(repository, { lastArchived: '000000010000000000000001', secondsAgo, segmentSize: 2 ** 24, systemIdentifier: '1', isReceived: false, trouble: undefined, lag: undefined });
    expect(await found(2 * 86_400)).toBeUndefined();
    expect(await found(3_600)).toMatchObject({ problem: expect.stringContaining('which the source archived last') as string });
  });

  test('while the archiver fails, unless that is over within seconds', async () => {
    const next = String((await execute('SELECT pg_walfile_name(pg_current_wal_insert_lsn()) AS name')).rows.map(({ name }: { name: string }) => name));
    // Its archive_command overwrites nothing.
    const inTheWay = join(source.layout.wal, next);
    writeFileSync(inTheWay, '');
    await source.server.withClient('postgres', async (client) => {
      await client.query(`SELECT pg_create_restore_point('something to archive')`);
      expect(await closeSegment(client)).toBe(next);
    });
    const failing = tried(new RegExp(`^archiver: the last attempt failed, on ${next} \\(\\d+ failures so far\\); look for archive_command in the source's log`));
    await vi.waitFor(() => expect(plan()).rejects.toMatchObject(failing), PATIENT);
    const planned = plan();
    await sleep(1_000);
    rmSync(inTheWay);
    // So that it looks again at once.
    await execute('SELECT pg_reload_conf()');
    expect(await planned).toEqual(PASSES);
  });
});

describe('a repository in which nothing can be made is refused before anything is copied, and called a problem by the doctor', () => {
  const doctor = async (directory: string, over: Partial<DatabaseSettings> = {}) => {
    const findings = new Findings('shop');
    const configuration = configurationOf({ in: directory });
    await examineBackups({ ...configuration.databases['shop']!, ...over }, configuration, undefined, findings);
    return findings.all.filter(({ name }) => name === 'repository');
  };
  const call = { database: 'shop', fence: 3, owner: OWNER };

  test('one that can be written is said to be, and nothing stays there', async () => {
    expect(await plan()).toEqual(PASSES);
    expect(await doctor(repository)).toMatchObject([{ outcome: 'ok', detail: `${repository} can be read and written` }]);
    expect(readdirSync(repository)).toEqual([]);
  });

  test('where it lies below a file', async () => {
    writeFileSync(join(repository, 'incoming'), '');
    const said = new RegExp(`${repository}/incoming cannot be written: ENOTDIR.*; give this user write permission on ${repository}/incoming, or change provider\\.repository`);
    await expect(plan()).rejects.toMatchObject(refused(said));
    const [found] = await doctor(repository);
    expect(`${found?.outcome} ${found?.detail}; ${found?.todo}`).toMatch(said);
    expect(classify(await openBackupPlace(join(repository, 'incoming'), call).catch((error: unknown) => error))).toMatchObject(refused(/provider\.repository/));
  });

  describe('where too little room is left for what is copied and the reserve', () => {
    const REMEDY = 'free some, set provider\\.repository to a larger file system, or lower drills\\.reserve';

    test('of which a manifest alone copies nothing; the copy looks too, and says the same', async () => {
      const reserve = 1_000 * 2 ** 40;
      await expect(plan({ reserve: '1000TiB' })).rejects.toMatchObject(refused(new RegExp(`^repository: ${repository}/incoming has \\d+ MiB free and the backup needs \\d+ MiB \\([1-9]\\d* MiB to copy, and a reserve of ${reserve / 2 ** 20} MiB\\); ${REMEDY}$`)));
      expect(await plan({ reserve: '1000TiB' }, false)).toEqual(PASSES);
      const incoming = join(repository, 'part');
      mkdirSync(incoming);
      const copying = takeBaseBackup({ id: 'b1', connection: source.server.config(), applicationName: 'preflight', incoming, walDirectory: source.layout.wal, archiveTimeoutMs: 1_000, reserveBytes: reserve });
      expect(classify(await copying.catch((error: unknown) => error))).toMatchObject({ type: 'DISK_FULL', message: expect.stringMatching(new RegExp(`^${incoming} has \\d+ MB free; the copy needs \\d+ MB and \\d+ MB must stay free; ${REMEDY}$`)) as string });
    });

    test('on a file system that is smaller than the databases, or full', async ({ skip }) => {
      const mounted = isRoot && await promisify(execFile)('mount', ['-t', 'tmpfs', '-o', 'size=8m', 'small', repository]).then(() => true, () => false);
      if (!mounted) return skip('only root can mount a small file system, and not on every host');
      try {
        await expect(plan()).rejects.toMatchObject(refused(new RegExp(`has 8 MiB free and the backup needs .* reserve of 0 MiB\\); ${REMEDY}$`)));
        expect(readdirSync(repository)).toEqual([]);
        writeFileSync(join(repository, 'of others'), Buffer.alloc(8 * 2 ** 20, 1));
        await expect(plan()).rejects.toMatchObject(refused(new RegExp(`has 0 MiB free .*${REMEDY}$`)));
      } finally {
        await promisify(execFile)('umount', ['-l', repository]);
      }
    });
  });

  test.each(['incoming', 'backups', 'manifests'])('where nobody may change %s, with all else that is wrong', async (part) => {
    const directory = join(repository, part);
    mkdirSync(directory);
    const walDirectory = join(repository, 'wal');
    mkdirSync(walDirectory);
    if (!isRoot) execFileSync('chmod', ['a-w', directory]);
    else execFileSync('chattr', ['+i', directory]);
    try {
      const said = new RegExp(`repository: .*/${part} cannot be written: E(PERM|ACCES): .*, or change provider\\.repository$`);
      await expect(plan({ walDirectory }, part !== 'manifests')).rejects.toMatchObject(refused(new RegExp(`^WAL archive: .*; ${said.source}`)));
      expect(await doctor(repository)).toMatchObject([{ outcome: 'warning', detail: expect.stringMatching(/: no backup or manifest can be taken here$/) as unknown }]);
      expect(await doctor(repository, { host: 'this-one' })).toMatchObject([{ outcome: 'problem' }]);
    } finally {
      if (isRoot) execFileSync('chattr', ['-i', directory]);
    }
  });
});
