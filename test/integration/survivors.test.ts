import { type ChildProcess, execFile, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, chownSync, existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, afterEach, beforeAll, describe, expect, it, onTestFinished } from 'vitest';
import { destroyDrill, proveAbsent } from '../../activities/drill/destroy.ts';
import { drillMarker, drillPaths, writeMarker } from '../../activities/drill/drill.ts';
import { isAlive, identifyProcess } from '../../activities/drill/processes.ts';
import { recoverToEnd } from '../../activities/drill/recover.ts';
import { removeTrees } from '../../activities/drill/remove-trees.ts';
import { stopDrill } from '../../activities/drill/server.ts';
import type { RecoveryPoint } from '../../contracts/recovery-point.ts';
import { type ArchivedSource, drillOf, productionPaths, startBackedUpSource, DRILL_NAME } from '../support/archived-source.ts';
import { withDrillClient } from '../support/user-clients.ts';

const isRoot = process.getuid?.() === 0;
/** As whom the server of a copy would run. */
const SERVER = { uid: 61_235, gid: 61_235 };

describe('what a function that was restored starts and takes out of the drill', () => {
  let source: ArchivedSource;
  let point: RecoveryPoint;
  beforeAll(async () => { ({ source, point } = await startBackedUpSource()); });
  afterAll(() => source.server.stop());
  const destroy = () => destroyDrill({ name: DRILL_NAME, run: 'run-1', fence: '1', drillsDirectory: source.drillsDirectory, productionPaths: productionPaths(source) });
  afterEach(async () => { await destroy(); });

  const pidOf = (command: string) => readdirSync('/proc').filter((name) => /^\d+$/.test(name))
    .find((pid) => { try { return readFileSync(`/proc/${pid}/cmdline`, 'utf8') === `${command.replaceAll(' ', '\0')}\0`; } catch { return false; } });

  it('is found without anything of its environment, session and directory, in the proof as well, and ended with it', async () => {
    const { drill, wal } = await drillOf(source, point);
    expect(drill.isolation.mounts).toBe('isolated');
    await recoverToEnd({ drill, target: null, expectedEndLsn: wal.endLsn, timeline: 1 });
    const command = `sleep 60${process.pid}`;
    const leave = 'unshare --user --map-current-user --net --mount';
    const inNamespaces = withDrillClient(drill, 'postgres', (client) => client.query(`COPY (SELECT 1) TO PROGRAM 'cat >/dev/null; ${leave} true'`));
    await expect(inNamespaces, 'nor of its mounts, since it cannot leave them').rejects.toMatchObject({ code: '38000' });
    expect(readFileSync(drillPaths(drill.directory).logFile, 'utf8')).toContain('unshare failed: Operation not permitted');
    await withDrillClient(drill, 'postgres', (client) => client.query(`COPY (SELECT 1) TO PROGRAM 'cat >/dev/null; cd /; env -i setsid ${command} >/dev/null 2>&1 </dev/null &'`));
    await expect.poll(() => pidOf(command)).toBeDefined();
    const survivor = await identifyProcess(Number(pidOf(command)));
    await stopDrill({ drill, mode: 'immediate' });
    const look = () => proveAbsent({ name: DRILL_NAME, drillsDirectory: source.drillsDirectory });
    expect((await look()).findings).toContain(`process ${survivor!.pid} runs`);
    // Of a drill whose directory is gone it is found, too.
    expect((await proveAbsent({ name: DRILL_NAME, drillsDirectory: '/nowhere' })).findings).toEqual([`process ${survivor!.pid} runs`]);
    await destroy();
    expect(await isAlive(survivor!)).toBe(false);
    expect(await look()).toMatchObject({ absent: true, findings: [] });
  });
});

describe('a tree of the server\'s user', () => {
  let root: string;
  let swapper: ChildProcess | undefined;
  afterEach(async () => {
    if (swapper) { swapper.kill('SIGKILL'); await once(swapper, 'exit'); swapper = undefined; }
    rmSync(root, { recursive: true, force: true });
  });

  it('is removed without following a link for which a process that is left exchanges a directory', async ({ skip }) => {
    if (!isRoot) return skip('only a root worker may remove what its server may not');
    root = mkdtempSync(join(tmpdir(), 'drb-swap-'));
    chmodSync(root, 0o711);
    const precious = join(root, 'precious');
    mkdirSync(precious);
    const files = Array.from({ length: 50 }, (_, index) => join(precious, `f${index}`));
    for (const file of files) writeFileSync(file, '');
    const names = Array.from({ length: 40 }, (_, index) => `d${index}`);
    for (let round = 0; round < 30; round += 1) {
      const data = join(root, `data${round}`);
      mkdirSync(data);
      for (const name of names) for (let index = 0; index < 20; index += 1) {
        mkdirSync(join(data, name), { recursive: true });
        writeFileSync(join(data, name, `f${index}`), '');
      }
      for (const entry of [...readdirSync(data, { recursive: true, encoding: 'utf8' }), '.']) chownSync(join(data, entry), SERVER.uid, SERVER.gid);
      const program = `const fs = require('fs'); const n = ${JSON.stringify(names)}; const t = (f) => { try { f(); } catch {} };
        process.chdir(${JSON.stringify(data)}); process.send(0);
        for (;;) for (const d of n) { t(() => fs.renameSync(d, 'x' + d)); t(() => fs.symlinkSync(${JSON.stringify(precious)}, d)); t(() => fs.unlinkSync(d)); t(() => fs.renameSync('x' + d, d)); }`;
      swapper = spawn(process.execPath, ['-e', program], { ...SERVER, cwd: '/', env: {}, stdio: ['ignore', 'ignore', 'ignore', 'ipc'] });
      await once(swapper, 'message');
      // What is put there meanwhile may keep it from its end: only what lies elsewhere counts.
      await removeTrees([data], { marker: drillMarker('d-1') }).catch(() => undefined);
      swapper.kill('SIGKILL');
      await once(swapper, 'exit');
      swapper = undefined;
      expect(files.filter((file) => !existsSync(file))).toEqual([]);
      await removeTrees([data], { marker: drillMarker('d-1') });
      expect(existsSync(data)).toBe(false);
    }
  });
});

describe('a segment of shared memory that the copy names in its lock file', () => {
  const segments = () => readFileSync('/proc/sysvipc/shm', 'utf8').split('\n').slice(1).map((line) => line.trim().split(/\s+/).map(Number));

  it.for([
    ['its user\'s', SERVER, { sign: 1, hasOwnIpc: false, isRemoved: true }], ['its user\'s, with a key that has a sign', SERVER, { sign: -1, hasOwnIpc: false, isRemoved: true }],
    ['somebody else\'s', { uid: 61_236, gid: 61_236 }, { sign: 1, hasOwnIpc: false, isRemoved: false }], ['its user\'s, while it has such memory of its own', SERVER, { sign: 1, hasOwnIpc: true, isRemoved: false }],
  ] as const)('is removed with it only where it is the copy\'s: %s', async ([_whose, user, { sign, hasOwnIpc, isRemoved }], { skip }) => {
    if (!isRoot) return skip('only root makes memory of another user');
    const root = mkdtempSync(join(tmpdir(), 'drb-shm-'));
    onTestFinished(() => rmSync(root, { recursive: true, force: true }));
    let made: number[] | undefined;
    while (!made || Math.sign(made[0] ?? 0) !== sign) {
      const { stdout } = await promisify(execFile)('ipcmk', ['-M', '4096'], { ...user, cwd: '/' });
      const id = Number(/\d+/.exec(stdout)?.[0]);
      onTestFinished(() => { execFileSync('sh', ['-c', `ipcrm -m ${id} 2>/dev/null || true`]); });
      made = segments().find((segment) => segment[1] === id);
    }
    const [key, id] = made;
    const data = join(root, 'd-1', 'data');
    mkdirSync(data, { recursive: true });
    await writeMarker(join(root, 'd-1'), { name: 'd-1', run: 'r', fence: '1' });
    // As an unsigned long, as PostgreSQL writes it.
    writeFileSync(join(data, 'postmaster.pid'), `0\n${data}\n0\n5432\n\n\n${BigInt.asUintN(64, BigInt(key ?? 0))} ${id}\n`);
    chownSync(data, SERVER.uid, SERVER.gid);
    await destroyDrill({ name: 'd-1', run: 'r', fence: '1', drillsDirectory: root, productionPaths: [], hasOwnIpc });
    expect(segments().some((segment) => segment[1] === id)).toBe(!isRemoved);
  });
});
