import { execFileSync } from 'node:child_process';
import { existsSync, linkSync, lstatSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { writeAccess } from '../../activities/drill/access.ts';
import { writeConfiguration } from '../../activities/drill/configuration.ts';
import { destroyDrill } from '../../activities/drill/destroy.ts';
import { type Drill, drillPaths, writeMarker } from '../../activities/drill/drill.ts';
import { readSmallFile } from '../../activities/drill/hostile-files.ts';
import { writeRecoverySignal } from '../../activities/drill/recover.ts';
import { findServer, startServer } from '../../activities/drill/server.ts';
import { readLifeFrom, readLogFrom } from '../../activities/drill/server-log.ts';
import { onlyOne } from '../../workers/main.ts';

const OWNER = { name: 'd-1', run: 'r', fence: '1' };
let root: string;
let precious: string;
let drill: Drill;
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'drb-hostile-'));
  const directory = join(root, OWNER.name);
  const { data, conf, log } = drillPaths(directory);
  for (const path of [directory, data, conf, log, join(root, 'production')]) mkdirSync(path);
  precious = join(root, 'production', 'precious');
  writeFileSync(precious, 'precious', { mode: 0o600 });
  drill = {
    ...OWNER, directory, binDirectory: join(root, 'none'), serverMajor: 18, owner: null, superuser: 'postgres', maintenanceDatabase: 'postgres', hiddenPaths: [], hiddenDrills: null,
    isolation: { network: 'notIsolated', mounts: 'notIsolated', reason: null }, recoverySettings: {} as never, settings: {}, preloadLibraries: [], priority: 'normal', reserveBytes: 0,
  };
});
afterEach(() => rmSync(root, { recursive: true, force: true }));

const configure = () => writeConfiguration(drill, { timeline: 1, stopBeforeLsn: null, then: 'promote' });
const writers: [string, () => Promise<unknown>][] = [
  ['conf/postgresql.conf', configure], ['conf/pg_hba.conf', () => writeAccess(drill, ['app'])], ['conf/pg_ident.conf', () => writeAccess(drill, ['app'])],
  ['data/recovery.signal', () => writeRecoverySignal(drill)],
];

describe.each([['link', symlinkSync], ['second name', linkSync]] as const)('a %s of a file that is hidden from the copy', (_what, put) => {
  it.each(writers)('at %s is replaced, and the file is not written to', async (name, write) => {
    const path = join(drill.directory, name);
    put(precious, path);
    await write();
    expect(readFileSync(precious, 'utf8')).toBe('precious');
    expect(lstatSync(path)).toMatchObject({ nlink: 1 });
    expect(lstatSync(path).isFile()).toBe(true);
    expect(readdirSync(join(path, '..')).filter((one) => /\.[0-9a-f]{12}$/.test(one))).toEqual([]);
  });

  it('at log/server.log is not written to, and nothing is started', async () => {
    put(precious, drillPaths(drill.directory).logFile);
    await expect(startServer({ ...drill, binDirectory: '/bin' })).rejects.toMatchObject({ type: 'NOT_OUR_DRILL' });
    expect(readFileSync(precious, 'utf8')).toBe('precious');
  });
});

it.each([['conf', configure], ['conf', () => writeAccess(drill, [])], ['log', () => startServer(drill)], ['data', () => writeRecoverySignal(drill)]] as const)('a link in the place of %s/ has nothing written at its far end', async (name, write) => {
  renameSync(join(drill.directory, name), join(root, 'aside'));
  symlinkSync(join(root, 'production'), join(drill.directory, name));
  await expect(write()).rejects.toMatchObject({ type: 'NOT_OUR_DRILL' });
  expect(readdirSync(join(root, 'production'))).toEqual(['precious']);
});

describe.each<[string, (path: string) => void]>([
  ['a pipe that nobody writes to', (path) => { execFileSync('sh', ['-c', 'mkfifo "$1"', 'sh', path]); }],
  ['a link to what has no end', (path) => symlinkSync('/dev/zero', path)],
])('%s', (_what, put) => {
  /** What hangs takes a thread of Node for good, and there are four. */
  const inTime = async (work: () => Promise<unknown>) => {
    for (let attempt = 1; attempt <= 5; attempt += 1) await Promise.race([work(), sleep(3000).then(() => { throw new Error(`attempt ${attempt} hangs`); })]);
    await Promise.race([stat('/'), sleep(3000).then(() => { throw new Error('everything hangs'); })]);
  };

  it('in the place of the lock file is no server of the drill', async () => {
    put(join(drillPaths(drill.directory).data, 'postmaster.pid'));
    await inTime(async () => expect(await findServer(drill)).toBeUndefined());
  });

  it('in its place keeps no drill from being removed', async () => {
    put(join(drillPaths(drill.directory).data, 'postmaster.pid'));
    await writeMarker(drill.directory, OWNER);
    await inTime(() => destroyDrill({ ...OWNER, drillsDirectory: root, productionPaths: [] }));
    expect(existsSync(drill.directory)).toBe(false);
  });

  it('in the place of the log says nothing, and nothing is written to it', async () => {
    const { logFile } = drillPaths(drill.directory);
    put(logFile);
    await inTime(async () => expect(await readLogFrom(logFile, 0)).toEqual({ text: '', end: 0 }));
    await inTime(async () => expect(await readLifeFrom(logFile, 0)).toEqual({ text: '', replayBegan: false }));
    await inTime(() => expect(startServer(drill)).rejects.toMatchObject({ type: 'NOT_OUR_DRILL' }));
  });

  it('in the place of the marker is none of ours', async () => {
    put(drillPaths(drill.directory).marker);
    await inTime(() => expect(destroyDrill({ ...OWNER, drillsDirectory: root, productionPaths: [] })).rejects.toMatchObject({ type: 'NOT_OUR_DRILL' }));
  });
});

it('no more of a small file is read than small files have', async () => {
  writeFileSync(precious, Buffer.alloc(10_000, 'x'));
  expect(await readSmallFile(precious)).toHaveLength(4096);
});

it('a sweep that is under way is not joined by another, and the next one comes after it', async () => {
  const ends: (() => void)[] = [];
  const sweep = onlyOne(() => new Promise<void>((resolve) => { ends.push(resolve); }));
  const first = sweep();
  void sweep();
  expect(ends).toHaveLength(1);
  ends[0]?.();
  await first;
  void sweep();
  expect(ends).toHaveLength(2);
});
