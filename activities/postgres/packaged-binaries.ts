import { chmod, copyFile, cp, lstat, mkdir, mkdtemp, readFile, rename, rm, stat, symlink } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, dirname, join, relative } from 'node:path';

/** The ids a server process is started with. */
export interface ServerUser {
  readonly uid: number;
  readonly gid: number;
}

/** One line of the package's `native/pg-symlinks.json`: npm packs no symbolic links, so the package lists them. */
interface ListedLink {
  readonly source: string;
  readonly target: string;
}

/** True when every link that the package lists exists: its install script ran. */
export async function isHydrated(packageRoot: string): Promise<boolean> {
  for (const { target } of await listedLinks(packageRoot)) {
    if (!(await exists(join(packageRoot, target)))) return false;
  }
  return true;
}

/** True when `user` may walk down to `file` and read it. Access lists beyond the mode bits are not considered. */
export async function isReachableBy(file: string, user: ServerUser): Promise<boolean> {
  if (!(await grants(file, user, 5))) return false;
  for (let directory = dirname(file); ; directory = dirname(directory)) {
    if (!(await grants(directory, user, 1))) return false;
    if (directory === dirname(directory)) return true;
  }
}

/**
 * Copies a package of server binaries to `<os tmp>/durable-runbooks-bin-<uid>/postgresql-<version>`, readable by everyone,
 * with its links in place, and returns that directory. Copies once: later calls, also from other processes, reuse it.
 *
 * @throws Error when that place belongs to somebody else, who could put other programs there
 */
export async function copyPackagedBinaries(packageRoot: string, temporaryRoot: string = tmpdir()): Promise<string> {
  const { version } = JSON.parse(await readFile(join(packageRoot, 'package.json'), 'utf8')) as { version: string };
  const home = await privateHome(join(temporaryRoot, `durable-runbooks-bin-${process.getuid?.() ?? 'user'}`));
  const destination = join(home, `postgresql-${version}`);
  if (await exists(destination)) return destination;
  const unfinished = await mkdtemp(join(home, '.copying-'));
  try {
    await cp(join(packageRoot, 'native'), join(unfinished, 'native'), { recursive: true, verbatimSymlinks: true });
    await copyFile(join(packageRoot, 'package.json'), join(unfinished, 'package.json'));
    for (const { source, target } of await listedLinks(packageRoot)) {
      const link = join(unfinished, target);
      if (!(await exists(link))) await symlink(relative(dirname(target), source), link);
    }
    for (const program of ['postgres', 'initdb', 'pg_ctl']) await chmod(join(unfinished, 'native', 'bin', program), 0o755);
    await chmod(unfinished, 0o755);
    // The rename makes a finished copy visible at once: nobody ever sees half of one.
    await rename(unfinished, destination);
  } catch (error) {
    if (!(await exists(destination))) throw new Error(`cannot copy ${basename(packageRoot)} to ${destination}`, { cause: error });
    // Another process finished the same copy first.
  } finally {
    await rm(unfinished, { recursive: true, force: true });
  }
  return destination;
}

/** A directory that only this user can write to. The temporary directory is shared, so its owner is checked. */
async function privateHome(path: string): Promise<string> {
  await mkdir(path, { mode: 0o755 }).catch((error: NodeJS.ErrnoException) => {
    if (error.code !== 'EEXIST') throw error;
  });
  const found = await lstat(path);
  const ours = found.isDirectory() && found.uid === (process.getuid?.() ?? found.uid) && (found.mode & 0o022) === 0;
  if (!ours) throw new Error(`${path} is not a directory that only this user can write to: remove it, or set TMPDIR to another place`);
  await chmod(path, 0o755);
  return path;
}

async function listedLinks(packageRoot: string): Promise<readonly ListedLink[]> {
  try {
    return JSON.parse(await readFile(join(packageRoot, 'native', 'pg-symlinks.json'), 'utf8')) as ListedLink[];
  } catch (error) {
    // Packages for platforms without such links list none.
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return [];
    throw error;
  }
}

async function grants(path: string, user: ServerUser, bits: number): Promise<boolean> {
  const { mode, uid, gid } = await stat(path);
  const shift = uid === user.uid ? 6 : gid === user.gid ? 3 : 0;
  return ((mode >> shift) & bits) === bits;
}

async function exists(path: string): Promise<boolean> {
  return lstat(path).then(() => true, () => false);
}
