import { execFile } from 'node:child_process';
import { chmodSync, existsSync, mkdirSync, readdirSync, readFileSync, rmSync, statfsSync, statSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { destroyDrill } from '../../activities/drill/destroy.ts';
import { DRILL_PORT, drillPaths } from '../../activities/drill/drill.ts';
import { recoverToEnd } from '../../activities/drill/recover.ts';
import type { RecoveryPoint } from '../../contracts/recovery-point.ts';
import { type ArchivedSource, archiveNow, backUp, drillOf, productionPaths, startArchivedSource, DRILL_NAME } from '../support/archived-source.ts';
import { withDrillClient } from '../support/user-clients.ts';

const isRoot = process.getuid?.() === 0;
/** Somebody else of this host: neither the worker's user nor the server's. */
const STRANGER = { uid: 61_234, gid: 61_234 };

let source: ArchivedSource;
let point: RecoveryPoint;

beforeAll(async () => {
  source = await startArchivedSource({ autovacuum: 'off' });
  await source.server.withClient('postgres', async (client) => {
    await client.query(`CREATE ROLE app LOGIN SUPERUSER PASSWORD 'of production'`);
    await client.query(`CREATE TABLE rows AS SELECT i, repeat(md5(i::text), 20) AS filler FROM generate_series(1, 20000) i`);
  });
  point = await backUp(source, 'b1');
  await source.server.withClient('postgres', (client) => client.query('CREATE TABLE after_the_backup (a int)'));
  await archiveNow(source);
});

const destroy = (drillsDirectory = source.drillsDirectory) => destroyDrill({ name: DRILL_NAME, run: 'run-1', fence: '1', drillsDirectory, productionPaths: productionPaths(source) });
afterEach(async () => { await destroy(); });
afterAll(() => source.server.stop());

/** Knocks at a PostgreSQL socket as a stranger of this host: the code of the first answer, or why there was none. */
async function knock(socket: string, user: string): Promise<string> {
  const startup = Buffer.concat([Buffer.from([0, 3, 0, 0]), Buffer.from(`user\0${user}\0database\0postgres\0\0`)]);
  const length = Buffer.alloc(4);
  length.writeUInt32BE(startup.length + 4);
  const packet = Buffer.concat([length, startup]).toString('hex');
  const program = `const s = require('net').connect(process.argv[1]); s.on('error', (e) => console.log(e.code));
    s.on('connect', () => s.write(Buffer.from(process.argv[2], 'hex')));
    s.on('data', (d) => { console.log(d[0] === 69 ? d.toString('latin1').match(/C([0-9A-Z]{5})/)[1] : 'asks ' + d.readUInt32BE(5)); s.destroy(); });`;
  const { stdout } = await promisify(execFile)(process.execPath, ['-e', program, socket, packet], { ...STRANGER, cwd: '/', env: {}, timeout: 10_000 });
  return stdout.trim();
}

it('nobody else of this host gets to the copy: not through its directories, and past them not by any name or password', async ({ skip }) => {
  if (!isRoot) return skip('only root can come as somebody else');
  const { drill, wal } = await drillOf(source, point);
  await recoverToEnd({ drill, target: null, expectedEndLsn: wal.endLsn, timeline: 1 });
  const paths = drillPaths(drill.directory);
  for (const path of [paths.data, paths.socket, paths.wal, paths.log]) expect(statSync(path).mode & 0o777, path).toBe(0o700);
  for (const path of [drill.directory, paths.conf]) expect(statSync(path).mode & 0o777, path).toBe(0o750);
  const socket = join(paths.socket, `.s.PGSQL.${DRILL_PORT}`);
  expect(statSync(socket).mode & 0o777).toBe(0o700);
  // Everything above the drill is opened, so that only the drill's own directory is in the way; then that, then the socket's.
  for (const path of [source.drillsDirectory, join(source.drillsDirectory, '..')]) chmodSync(path, 0o755);
  expect(await knock(socket, 'app'), 'the directory alone').toBe('EACCES');
  chmodSync(drill.directory, 0o755);
  expect(await knock(socket, 'app'), "the socket's directory alone").toBe('EACCES');
  chmodSync(paths.socket, 0o755);
  expect(await knock(socket, 'app'), "the socket's mode alone").toBe('EACCES');
  chmodSync(socket, 0o777);
  // 28000: refused without ever having been asked for a password. 10 would be SASL, 3 and 5 the older ways to ask.
  expect(await knock(socket, 'app'), 'the access rules alone').toBe('28000');
  // The canary sings: where the rules of production hold, the stranger is asked for its password.
  writeFileSync(join(paths.conf, 'pg_hba.conf'), 'local all all scram-sha-256\n');
  await withDrillClient(drill, 'postgres', (client) => client.query('SELECT 1')).catch(() => undefined);
  process.kill(Number(readFileSync(join(paths.data, 'postmaster.pid'), 'utf8').split('\n')[0]), 'SIGHUP');
  for (let tries = 0; tries < 50 && (await knock(socket, 'app')) !== 'asks 10'; tries += 1) await sleep(100);
  expect(await knock(socket, 'app')).toBe('asks 10');
});

describe('copying spares its host', () => {
  /** The process that copies, by what it carries in its environment. */
  const copier = () => readdirSync('/proc').find((pid) => /^\d+$/.test(pid) && read(`/proc/${pid}/environ`).includes(`DURABLE_RUNBOOKS_DRILL=${DRILL_NAME}`) && read(`/proc/${pid}/cmdline`).includes('copy-process'));
  const read = (path: string) => { try { return readFileSync(path, 'utf8'); } catch { return ''; } };

  it('keeps to the configured speed, and lets every other process go first', async () => {
    const bytesPerSecond = 10_000_000;
    const began = performance.now();
    const copying = drillOf(source, point, { bytesPerSecond, reflink: false });
    let nice = Number.NaN;
    for (let tries = 0; tries < 200 && Number.isNaN(nice); tries += 1) {
      await sleep(20);
      const pid = copier();
      // Field 19, counted from behind the name.
      if (pid !== undefined) nice = Number(read(`/proc/${pid}/stat`).split(') ')[1]?.split(' ')[16]) || Number.NaN;
    }
    const { bytes } = await copying;
    expect(nice).toBe(10);
    // The first megabyte of each thread flows at once.
    expect((performance.now() - began) / 1000).toBeGreaterThan((bytes - 8 * 2 ** 20) / bytesPerSecond);
  });

  it('stops before the file system is full, also when others fill it meanwhile, and leaves the reserve', async ({ skip }) => {
    if (!isRoot) return skip('only root can mount a small file system');
    const small = join(source.drillsDirectory, '..', 'small');
    mkdirSync(small);
    const mib = 2 ** 20;
    const size = Math.ceil(point.sizeBytes / mib) + 120;
    const mounted = await promisify(execFile)('mount', ['-t', 'tmpfs', '-o', `size=${size}m,mode=0711`, 'small', small]).then(() => true, () => false);
    if (!mounted) return skip('this host does not let root mount a tmpfs');
    const free = () => { const { bavail, bsize } = statfsSync(small); return bavail * bsize; };
    try {
      const reserveBytes = 20 * mib;
      await expect(drillOf(source, point, { drillsDirectory: small, reserveBytes: (size - 10) * mib }), 'looked at before').rejects.toMatchObject({ type: 'NOT_ENOUGH_SPACE' });
      await destroy(small);
      const copying = drillOf(source, point, { drillsDirectory: small, reserveBytes, bytesPerSecond: 10_000_000, reflink: false });
      const ended = copying.then(() => 'copied', (error: { type?: string }) => error.type);
      for (let tries = 0; tries < 200 && !existsSync(join(small, DRILL_NAME, 'data')); tries += 1) await sleep(20);
      const others = join(small, 'of others');
      writeFileSync(others, Buffer.alloc(free() - reserveBytes - 2 * mib, 1));
      expect(await ended).toBe('NOT_ENOUGH_SPACE');
      // What flows in the 0.2 s between two looks.
      expect(free()).toBeGreaterThan(reserveBytes - 8 * mib);
      truncateSync(others);
      await destroy(small);
      expect(readdirSync(small)).toEqual(['of others']);
    } finally {
      await promisify(execFile)('umount', ['-l', small]);
      rmSync(small, { recursive: true });
    }
  });
});
