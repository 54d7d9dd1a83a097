import { execFile, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, chownSync, existsSync, lstatSync, mkdirSync, mkdtempSync, readFileSync, realpathSync, renameSync, rmSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, onTestFinished } from 'vitest';
import { destroyDrill } from '../../activities/drill/destroy.ts';
import { DRILL_VARIABLE, drillMarker, drillPaths } from '../../activities/drill/drill.ts';
import { chooseHiddenDrills, isolatedCommand } from '../../activities/drill/isolation.ts';
import { writeMounts } from '../../activities/drill/mounts.ts';
import { findProcesses } from '../../activities/drill/processes.ts';
import { recoverToEnd } from '../../activities/drill/recover.ts';
import type { RecoveryPoint } from '../../contracts/recovery-point.ts';
import { type ArchivedSource, drillOf, productionPaths, startBackedUpSource, DRILL_NAME } from '../support/archived-source.ts';

const isRoot = process.getuid?.() === 0;
/** The user of a copy, to whom nothing else belongs. */
const COPY = { uid: 61_235, gid: 61_235 };
const FULL = { network: 'isolated', mounts: 'isolated', reason: null } as const;
const AS_COPY = ['setpriv', `--reuid=${COPY.uid}`, `--regid=${COPY.gid}`, '--clear-groups', '--'];

describe.each([['root', COPY, []], ['not root', null, AS_COPY]] as const)('the copy of a worker that is %s', (_who, owner, asWorker) => {
  let drills: string;
  let directory: string;
  let archive: string;
  beforeEach(() => {
    drills = mkdtempSync(join(tmpdir(), 'drb-in-copy-'));
    chmodSync(drills, 0o711);
    directory = join(drills, 'place 1', 'd-1');
    archive = `${drills}.archive of #1`;
    mkdirSync(archive);
    for (const file of [join(archive, 'segment'), `${archive}.file`]) writeFileSync(file, 'production');
    for (const path of [directory, join(drills, 'place-2', 'd-2', 'data')]) mkdirSync(path, { recursive: true });
    const { data, socket, conf, log } = drillPaths(directory);
    for (const path of [data, socket, conf, log]) mkdirSync(path);
    writeFileSync(join(conf, 'postgresql.conf'), '');
    const its = owner ? [data, socket, join(drills, 'place-2', 'd-2', 'data')] : [drills, join(drills, 'place 1'), directory, data, socket, conf, log, join(conf, 'postgresql.conf')];
    for (const path of its) chownSync(path, COPY.uid, COPY.gid);
  });
  afterEach(() => { for (const path of [drills, archive, `${archive}.file`]) rmSync(path, { recursive: true, force: true }); });

  /** What a function of it can do. */
  const run = async (script: string) => {
    await writeMounts({ isolation: FULL, name: 'd-1', directory, hiddenDrills: drills, owner, hiddenPaths: [join(drills, 'place-2'), archive, `${archive}.file`, join(archive, 'gone')] });
    if (!owner) chownSync(drillPaths(directory).mounts, COPY.uid, COPY.gid);
    const [program = '', ...args] = [...asWorker, ...isolatedCommand({ isolation: FULL, name: 'd-1', directory, owner, command: ['sh', '-c', script] })];
    return promisify(execFile)(program, args, { cwd: directory, timeout: 20_000 }).then(({ stdout }) => stdout.trim(), (error: Error & { stderr: string }) => error.stderr);
  };

  it('can write where its server does, and exchange nothing that the worker uses', async ({ skip }) => {
    if (!isRoot) return skip('only root can be both');
    const done = await run(`exec 2>/dev/null; for at in data/x s/x conf/x conf/postgresql.conf log/x x ../x; do (: >> $at) && echo $at; done; mv conf aside && echo moved; mv data aside && echo moved data; ln -sT /etc elsewhere && echo linked; true`);
    // Above its own directory it is in what nobody else sees.
    expect(done.split('\n').filter((name) => name !== '../x')).toEqual(['data/x', 's/x']);
    expect(existsSync(join(directory, 'data', 'x'))).toBe(true);
    expect(existsSync(join(directory, '..', 'x'))).toBe(false);
  });

  it('sees no other drill, and lies where it lay', async ({ skip }) => {
    if (!isRoot) return skip('only root can be both');
    expect(await run(`ls -A ${drills}; ls -A ${drills}/*; pwd; readlink /proc/self/cwd`)).toBe(['place 1', 'd-1', directory, directory].join('\n'));
  });

  it('sees nothing of production', async ({ skip }) => {
    if (!isRoot) return skip('only root can be both');
    expect(await run(`ls -A '${archive}'; cat '${archive}.file'; touch '${archive}/x' 2>/dev/null || echo closed`)).toBe('closed');
  });

  it.for(['unshare --user --map-root-user --mount true', 'env -i /usr/bin/unshare --user true'])('cannot leave its mounts by a user namespace: %s', async (command, { skip }) => {
    if (!isRoot) return skip('only root can be both');
    expect(await run(`${command} && echo left`)).toMatch(/Operation not permitted/);
  });
});

it('other drills are hidden only where nothing lies there that the drill needs', async () => {
  const root = realpathSync(mkdtempSync(join(tmpdir(), 'drb-hide-')));
  onTestFinished(() => rmSync(root, { recursive: true }));
  for (const path of ['drills', 'drills/bin', 'drills-bin']) mkdirSync(join(root, path));
  symlinkSync(join(root, 'drills'), join(root, 'link'));
  expect(await chooseHiddenDrills(join(root, 'link'), [join(root, 'drills-bin'), '/usr'])).toBe(join(root, 'drills'));
  expect(await chooseHiddenDrills(join(root, 'drills'), [join(root, 'drills', 'bin')])).toBeNull();
  expect(await chooseHiddenDrills(join(root, 'drills'), [join(root, 'link', 'bin')])).toBeNull();
});

describe('a process of another name that works in a drill', () => {
  let root: string;
  beforeEach(() => {
    root = mkdtempSync(join(tmpdir(), 'drb-behind-'));
    mkdirSync(join(root, 'far', 'd-1', 'data'), { recursive: true });
    symlinkSync(join(root, 'far'), join(root, 'drills'));
  });
  afterEach(() => rmSync(root, { recursive: true, force: true }));
  const start = async (cwd: string) => {
    const child = spawn('sleep', ['60'], { cwd, stdio: 'ignore', env: { PATH: process.env['PATH'], [DRILL_VARIABLE]: 'another' } });
    onTestFinished(() => { child.kill('SIGKILL'); });
    await once(child, 'spawn');
    return child.pid;
  };
  const found = async (directory: string) => (await findProcesses({ marker: drillMarker('d-1'), directory })).map(({ pid }) => pid);

  it('is found where a link leads to the directory for drills, also when the drill is removed', async () => {
    const pid = await start(join(root, 'far', 'd-1', 'data'));
    expect(await found(join(root, 'drills', 'd-1'))).toEqual([pid]);
    rmSync(join(root, 'far', 'd-1'), { recursive: true });
    expect(await found(join(root, 'drills', 'd-1'))).toEqual([pid]);
  });

  it('is not looked for behind a link in the place of a drill, nor behind one that others could have put there', async () => {
    mkdirSync(join(root, 'production', 'data', 'd-1'), { recursive: true });
    await start(join(root, 'production', 'data', 'd-1'));
    symlinkSync(join(root, 'production', 'data'), join(root, 'far', 'd-2'));
    expect(await found(join(root, 'drills', 'd-2'))).toEqual([]);
    chmodSync(root, 0o777);
    rmSync(join(root, 'drills'));
    symlinkSync(join(root, 'production', 'data'), join(root, 'drills'));
    expect(await found(join(root, 'drills', 'd-1'))).toEqual([]);
  });
});

it('a worker that is nicer than the copy has to be copies all the same', async ({ skip }) => {
  if (!isRoot) return skip('root alone can come as somebody else');
  // Where that user can read it.
  const at = mkdtempSync(join(tmpdir(), 'drb-nice-'));
  onTestFinished(() => rmSync(at, { recursive: true }));
  chmodSync(at, 0o711);
  const program = join(at, 'copy-process.mjs');
  writeFileSync(program, readFileSync(new URL('../../activities/archive/copy-process.mjs', import.meta.url)), { mode: 0o644 });
  const child = spawn('nice', ['-n', '19', ...AS_COPY, process.execPath, program], { cwd: '/', stdio: ['ignore', 'ignore', 'pipe', 'ipc'] });
  onTestFinished(() => { child.kill('SIGKILL'); });
  expect(await Promise.race([once(child, 'message'), once(child, 'exit')])).toEqual([{ ready: true }, undefined]);
});

describe('another drill\'s copy, of the same user', () => {
  let source: ArchivedSource;
  let point: RecoveryPoint;
  beforeAll(async () => {
    ({ source, point } = await startBackedUpSource());
  });
  afterEach(() => destroyDrill({ name: DRILL_NAME, run: 'run-1', fence: '1', drillsDirectory: source.drillsDirectory, productionPaths: productionPaths(source) }));
  afterAll(() => source.server.stop());

  it.for(['new', 'repeated'])('gets to nothing of a %s drill that is being prepared', async (which, { skip }) => {
    if (!isRoot) return skip('root alone can come as the user of another copy');
    const { drill: first } = await drillOf(source, point);
    const { data } = drillPaths(first.directory);
    const user = first.owner ?? COPY;
    if (which === 'new') await destroyDrill({ ...first, drillsDirectory: source.drillsDirectory, productionPaths: productionPaths(source) });
    const phases = new Map<string, string>();
    const { drill } = await drillOf(source, point, {
      onProgress: ({ phase }) => {
        try {
          execFileSync('ln', ['-s', '/etc/passwd', join(data, 'recovery.signal')], { ...user, cwd: '/', stdio: 'pipe' });
          phases.set(phase, 'got in');
        } catch (error) {
          phases.set(phase, String((error as { stderr: Buffer }).stderr));
        }
      },
    });
    expect([...phases.keys()]).toEqual(['copyWal', 'copy']);
    for (const answer of phases.values()) expect(answer).toMatch(/Permission denied/);
    expect(statSync(drill.directory).mode & 0o777).toBe(0o750);
  });

  it.each(['recovery.signal', 'backup_label', 'postgresql.auto.conf'])('that got in all the same leads no write of the worker elsewhere, at %s', async (name) => {
    const victim = join(source.drillsDirectory, '..', `victim-${name}`);
    writeFileSync(victim, 'precious', { mode: 0o600 });
    const before = statSync(victim);
    let planted = false;
    const { drill, wal } = await drillOf(source, point, {
      onProgress: ({ phase, bytesDone, bytesTotal }) => {
        if (phase !== 'copy' || bytesDone < bytesTotal || planted) return;
        planted = true;
        const path = join(drillPaths(realpathSync(join(source.drillsDirectory, DRILL_NAME))).data, name);
        if (existsSync(path)) renameSync(path, `${path}.was`);
        symlinkSync(victim, path);
      },
    });
    expect(planted).toBe(true);
    expect(readFileSync(victim, 'utf8')).toBe('precious');
    expect(statSync(victim)).toMatchObject({ uid: before.uid, gid: before.gid, size: before.size });
    const written = lstatSync(join(drillPaths(drill.directory).data, name));
    expect(written.isFile()).toBe(true);
    expect(written).toMatchObject(drill.owner ?? {});
    await recoverToEnd({ drill, target: null, expectedEndLsn: wal.endLsn, timeline: 1 });
  });
});
