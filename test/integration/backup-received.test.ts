import { chownSync, cpSync, mkdirSync, readdirSync, readFileSync, rmSync, utimesSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, beforeAll, expect, test, vi } from 'vitest';
import type { DatabaseSettings } from '../../contracts/configuration.ts';
import { examineBackups } from '../../scripts/cli/doctor-backups.ts';
import { type Finding, Findings } from '../../scripts/cli/doctor-finding.ts';
import { examineSource } from '../../scripts/cli/doctor-source.ts';
import { PATIENT } from '../support/patience.ts';
import { backupConfiguration, PASSES, planBackup, refused, tried } from '../support/planned-backup.ts';
import { createPrivateDirectory, runAs, startCluster, type Server } from '../support/postgres.ts';
import { archiveUpToNow, closeSegment } from '../support/wal-segments.ts';

let root: string;
beforeAll(() => { root = createPrivateDirectory('received'); });
afterEach(() => { vi.restoreAllMocks(); });

/** One into which the server may write. */
function archive(name: string): string {
  const directory = join(root, name);
  mkdirSync(directory);
  const { uid, gid } = runAs();
  if (uid !== undefined && gid !== undefined) chownSync(directory, uid, gid);
  return directory;
}
const configurationOf = (server: Server, walDirectory: string) => backupConfiguration({ server, walDirectory, repository: root });
const plan = (server: Server, walDirectory: string) => planBackup(configurationOf(server, walDirectory));
/** What the doctor says of what brings WAL, and of where it lies. */
async function doctor(server: Server, walDirectory: string): Promise<Record<string, Finding>> {
  const findings = new Findings('shop');
  const configuration = configurationOf(server, walDirectory);
  const settings = configuration.databases['shop'] as DatabaseSettings;
  await examineBackups(settings, configuration, await examineSource(settings, findings), findings);
  return Object.fromEntries(findings.all.map((finding) => [finding.name, finding]));
}
const closeOne = (server: Server) => server.withClient('postgres', async (client) => {
  await client.query(`SELECT pg_create_restore_point('more to receive')`);
  return closeSegment(client);
});
const inSource = (server: Server, name: string) => join(server.dataDirectory, 'pg_wal', name);
const bring = (server: Server, walDirectory: string, ...names: string[]) => { for (const name of names) cpSync(inSource(server, name), join(walDirectory, name)); };
const command = (server: Server, text: string) => server.withClient('postgres', async (client) => {
  await client.query(`ALTER SYSTEM SET archive_command = '${text}'`);
  await client.query('SELECT pg_reload_conf()');
  await vi.waitFor(async () => expect((await client.query('SHOW archive_command')).rows).toEqual([{ archive_command: text }]), PATIENT);
});
/** Has the server archive what it has, and waits until it says so. */
const archiveAll = (server: Server, walDirectory: string) => server.withClient('postgres', async (client) => {
  await archiveUpToNow(client, walDirectory);
  await vi.waitFor(async () => expect((await client.query('SELECT last_archived_wal FROM pg_stat_archiver')).rows).toEqual([{ last_archived_wal: readdirSync(walDirectory)[0] }]), PATIENT);
});
/** From here on it is so many minutes later than it is. */
function later(minutes: number): number {
  const now = Date.now.bind(Date);
  vi.spyOn(Date, 'now').mockImplementation(() => now() + minutes * 60_000);
  return Date.now();
}

test('what something else brings to the archive, as pg_receivewal does, is as good as what is archived', async () => {
  const server = await startCluster({ logical: true });
  const walDirectory = archive('received');
  try {
    const first = await server.withClient('postgres', closeSegment);
    await expect(plan(server, walDirectory)).rejects.toMatchObject(refused(/^archiver: archive_mode is off/));
    bring(server, walDirectory, first);
    expect(await plan(server, walDirectory)).toEqual(PASSES);
    expect(await doctor(server, walDirectory)).toMatchObject({ archiver: { outcome: 'ok', detail: `is not used, and WAL comes to ${walDirectory} by something else` } });

    // What rsync brings every few minutes is always behind by some.
    const lacking = [await closeOne(server), await closeOne(server), await closeOne(server)];
    expect(await plan(server, walDirectory)).toEqual(PASSES);
    expect(await doctor(server, walDirectory)).toMatchObject({ archiver: { outcome: 'warning', detail: `is not used, and ${walDirectory} lacks the last 3 segments`, todo: expect.stringMatching(/pg_receivewal.*where nothing does, set archive_mode = on/) as string } });

    // What came last is of long ago, and what should have come was completed then.
    const now = later(11);
    const late = `is not used, ${walDirectory} lacks the last 3 segments, and nothing came there for 1\\d min \\d\\d s`;
    const todo = 'look whether what brings WAL there \\(pg_receivewal, say\\) still runs, at least every 10 minutes, which is as long as a backup waits for its last segment; where nothing does, set archive_mode = on';
    await expect(plan(server, walDirectory)).rejects.toMatchObject(tried(new RegExp(`^archiver: ${late}; ${todo}`)));
    expect(await doctor(server, walDirectory)).toMatchObject({ archiver: { outcome: 'problem', detail: expect.stringMatching(new RegExp(`^${late}$`)) as string } });
    const planned = plan(server, walDirectory);
    await sleep(1_000);
    bring(server, walDirectory, ...lacking);
    expect(await planned).toEqual(PASSES);

    // A source that rests for hours brings nothing for hours: what it completed a moment ago is on its way.
    for (const name of lacking) rmSync(join(walDirectory, name));
    utimesSync(inSource(server, lacking[0]!), now / 1_000, now / 1_000);
    expect(await plan(server, walDirectory)).toEqual(PASSES);

    // Of another server's nothing is known.
    const other = archive('other');
    bring(server, other, ...lacking);
    const file = join(other, lacking.at(-1)!);
    const header = readFileSync(file);
    header.writeBigUInt64LE(1n, 24);
    writeFileSync(file, header);
    await expect(plan(server, other)).rejects.toMatchObject(refused(/^archiver: archive_mode is off/));
  } finally {
    await server.stop();
  }
});

test('what the archiver brought before its command was emptied does not show that anything else brings more', async () => {
  const server = await startCluster({ logical: true, settings: { archive_mode: 'on' } });
  const walDirectory = archive('was-archived');
  try {
    await command(server, `cp %p ${walDirectory}/%f`);
    await archiveAll(server, walDirectory);
    expect(await plan(server, walDirectory)).toEqual(PASSES);
    await command(server, '');
    await expect(plan(server, walDirectory)).rejects.toMatchObject(refused(/^archiver: archive_command is empty: WAL is kept and not archived; /));
    expect(await doctor(server, walDirectory)).toMatchObject({ archiver: { outcome: 'problem', detail: 'archive_command is empty: WAL is kept and not archived' } });
    // What comes after that, something else has brought.
    bring(server, walDirectory, await closeOne(server));
    expect(await plan(server, walDirectory)).toEqual(PASSES);
  } finally {
    await server.stop();
  }
});

test('what the archiver brought to another directory until today is not looked for where pg_receivewal brings it now', async () => {
  const server = await startCluster({ logical: true, settings: { archive_mode: 'on' } });
  const [before, now] = [archive('before'), archive('now')];
  try {
    await command(server, `cp %p ${before}/%f`);
    await archiveAll(server, before);
    await command(server, '');
    bring(server, now, await closeOne(server));
    expect(await plan(server, now)).toEqual(PASSES);
    expect(await doctor(server, now)).toMatchObject({ archiver: { outcome: 'ok' }, 'WAL archive': { outcome: 'ok', detail: `${now} can be read` } });
  } finally {
    await server.stop();
  }
});
