import { execFile } from 'node:child_process';
import { mkdirSync, readdirSync, readFileSync, rmSync, statfsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { checkHost } from '../../activities/archive-provider/preflight.ts';
import { destroyDrill } from '../../activities/drill/destroy.ts';
import { type Drill, drillPaths } from '../../activities/drill/drill.ts';
import { explainEnd } from '../../activities/drill/explain-server.ts';
import { untilGone } from '../../activities/drill/processes.ts';
import { recoverToEnd, recoverToLsnAndPause } from '../../activities/drill/recover.ts';
import { findServer } from '../../activities/drill/server.ts';
import { classify } from '../../activities/temporal/classify.ts';
import { configurationSchema } from '../../contracts/configuration.ts';
import type { DrillPlan } from '../../contracts/dr-test.ts';
import type { RecoveryPoint } from '../../contracts/recovery-point.ts';
import { type ArchivedSource, archiveNow, backUp, drillOf, productionPaths, startArchivedSource, DRILL_NAME } from '../support/archived-source.ts';

const MIB = 2 ** 20;
const isRoot = process.getuid?.() === 0;
let source: ArchivedSource;
let point: RecoveryPoint;
let small: string;

const destroy = (drillsDirectory = source.drillsDirectory) => destroyDrill({ name: DRILL_NAME, run: 'run-1', fence: '1', drillsDirectory, productionPaths: productionPaths(source) });

beforeAll(async () => {
  source = await startArchivedSource();
  small = join(source.drillsDirectory, '..', 'small');
  point = await backUp(source, 'b1');
  await source.server.withClient('postgres', async (client) => {
    await client.query('CREATE TABLE events (body text)');
    for (let i = 0; i < 6; i += 1) await client.query(`INSERT INTO events SELECT repeat(md5(i::text), 30) FROM generate_series(1, 18000) i`);
  });
  await archiveNow(source);
});
afterAll(() => source.server.stop());

describe('a file system that replay fills', () => {
  const free = () => { const { bavail, bsize } = statfsSync(small); return bavail * bsize; };
  /** A drill on a small file system of which others leave only so much. */
  const drillWith = async (args: { reserveBytes: number; leftBytes: number }) => {
    const prepared = await drillOf(source, point, { drillsDirectory: small, reserveBytes: args.reserveBytes });
    writeFileSync(join(small, 'of others'), Buffer.alloc(free() - args.leftBytes, 1));
    return prepared;
  };
  const onSmallFileSystem = async (work: () => Promise<void>): Promise<boolean> => {
    mkdirSync(small);
    const size = Math.ceil(point.sizeBytes / MIB) + 400;
    const mounted = await promisify(execFile)('mount', ['-t', 'tmpfs', '-o', `size=${size}m,mode=0711`, 'small', small]).then(() => true, () => false);
    try {
      if (mounted) await work();
      return mounted;
    } finally {
      if (mounted) {
        await destroy(small).finally(() => promisify(execFile)('umount', ['-l', small]));
      }
      rmSync(small, { recursive: true });
    }
  };

  it('stops the restored server at the reserve', async ({ skip }) => {
    if (!isRoot) return skip('only root can mount a small file system');
    const mounted = await onSmallFileSystem(async () => {
      const { drill, wal } = await drillWith({ reserveBytes: 60 * MIB, leftBytes: 80 * MIB });
      expect(wal.segments, 'replay needs more than is left').toBeGreaterThan(6);
      const error: unknown = await recoverToEnd({ drill, target: null, expectedEndLsn: wal.endLsn, timeline: 1 }).catch((thrown: unknown) => thrown);
      expect(error).toMatchObject({ type: 'NOT_ENOUGH_SPACE', message: expect.stringContaining('60 MiB are to stay free') as unknown });
      expect(classify(error)).toMatchObject({ type: 'DISK_FULL', nonRetryable: true });
      expect(await findServer(drill)).toBeUndefined();
      expect(free(), 'stopped in time').toBeGreaterThan(0);
    });
    if (!mounted) return skip('this host does not let root mount a tmpfs');
  });

  it('is not called an unsound backup when it is full already', async ({ skip }) => {
    if (!isRoot) return skip('only root can mount a small file system');
    const mounted = await onSmallFileSystem(async () => {
      const { drill, wal } = await drillWith({ reserveBytes: 0, leftBytes: 24 * MIB });
      await expect(recoverToEnd({ drill, target: null, expectedEndLsn: wal.endLsn, timeline: 1 })).rejects.toMatchObject({ type: 'NOT_ENOUGH_SPACE' });
      expect(readFileSync(drillPaths(drill.directory).logFile, 'utf8')).toMatch(/No space left on device/);
    });
    if (!mounted) return skip('this host does not let root mount a tmpfs');
  });

  it('is refused beforehand, with WAL counted once where it is linked, and else twice', async () => {
    const walBytes = 2 ** 40;
    const { bavail, bsize } = statfsSync(source.drillsDirectory);
    const configuration = configurationSchema.parse({
      version: 1, evidence: { directory: source.drillsDirectory }, drills: { directory: source.drillsDirectory, reserve: '1MiB' },
      databases: { shop: { connection: {}, provider: { kind: 'archive', repository: source.layout.root, walDirectory: source.layout.wal } } },
    });
    // So much more space than there is that the look cannot depend on what others write meanwhile: the backup shrinks by it.
    const planOf = (archiveBytes: number, backupBytes: number) => ({ predicted: { bytes: backupBytes + archiveBytes }, archive: { bytes: archiveBytes } }) as DrillPlan;
    const look = (times: number) => checkHost(planOf(walBytes, bavail * bsize - walBytes * times), { point, layout: source.layout, configuration, signal: new AbortController().signal });
    const needed = isRoot ? 1 : 2;
    await expect(look(needed - 0.5)).rejects.toMatchObject({ type: 'PREFLIGHT', message: expect.stringMatching(isRoot ? /WAL 1048576 MiB, and a reserve/ : /WAL 1048576 MiB twice/) as unknown });
    expect(await look(needed + 0.5)).toContainEqual(expect.objectContaining({ name: 'disk space', outcome: 'passed', detail: expect.stringMatching(isRoot ? /needed$/ : /needed with WAL counted twice$/) as unknown }));
  });
});

describe('a server that ends', () => {
  afterEach(() => destroy());
  const end = async (drill: Drill) => recoverToEnd({ drill, target: null, expectedEndLsn: 'F/0', timeline: 1 }).catch((error: unknown) => error);

  it.each([
    ['a library is not installed', { preloadLibraries: ['pg_no_such_library'] }, 'UNFIT_HOST', 'PREFLIGHT'],
    ['there is not so much memory', { settings: { shared_buffers: '6TB', huge_pages: 'off' } }, 'SERVER_KILLED', 'UNAVAILABLE'],
    ['a setting is unknown', { settings: { no_such_setting: '1' } }, 'SERVER_DID_NOT_START', 'UNAVAILABLE'],
  ] as const)('before it read the backup, since %s, is no finding', async (_why, over, type, failureType) => {
    const { drill } = await drillOf(source, point, { ...over, preloadLibraries: [...('preloadLibraries' in over ? over.preloadLibraries : [])] });
    const error = await end(drill);
    expect(error).toMatchObject({ type });
    expect(classify(error)).toMatchObject({ type: failureType });
  });

  it('since the restored control file is broken, is a finding', async () => {
    const { drill } = await drillOf(source, point);
    const control = join(drillPaths(drill.directory).data, 'global', 'pg_control');
    const bytes = readFileSync(control);
    bytes[60] = (bytes[60] as number) ^ 1;
    writeFileSync(control, bytes);
    const error = await end(drill);
    expect(error).toMatchObject({ type: 'RECOVERY_FAILED' });
    expect(classify(error)).toMatchObject({ type: 'RECOVERY_FAILED' });
  });

  it.each([
    ['since the kernel killed the process that replays, is no finding', 'SIGKILL', 'SERVER_KILLED'],
    ['since the process that replays crashed, is a finding', 'SIGSEGV', 'RECOVERY_FAILED'],
  ] as const)('%s', async (_what, signal, type) => {
    const { drill, wal } = await drillOf(source, point);
    await recoverToLsnAndPause({ drill, lsn: point.stopLsn, timeline: 1 });
    expect(wal.segments).toBeGreaterThan(1);
    const server = await findServer(drill);
    if (!server) throw new Error('the drill has no server');
    const startup = readdirSync('/proc').filter((name) => /^\d+$/.test(name)).map(Number).find((pid) => {
      try {
        return readFileSync(`/proc/${pid}/cmdline`, 'utf8').includes('startup') && readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1]?.split(' ')[1] === String(server.pid);
      } catch {
        return false;
      }
    });
    if (startup === undefined) throw new Error('no process replays');
    process.kill(startup, signal);
    expect(await untilGone([server], 60_000)).toEqual([]);
    expect(await explainEnd(drill, 0)).toMatchObject({ type });
  });
});
