import { lstat, mkdtemp, readdir, rm } from 'node:fs/promises';
import { hostname, tmpdir } from 'node:os';
import { join } from 'node:path';

/** Begins the names of all that we make among the temporary files for a moment. */
const PREFIX = 'durable-runbooks-brief-';
/** Who made one, after the prefix: its host, its process, and what tells apart what that makes. */
const MADE_BY = /^(.+)-(\d+)-[A-Za-z0-9]{6}$/;
/** Whatever is done in one takes seconds. */
const LONG_MS = 3_600_000;

/**
 * Does work in a private directory among the temporary files, which goes with it. One of a process that was killed is left
 * to {@link sweepBriefDirectories}, which knows it by its name.
 */
export async function inBriefDirectory<T>(work: (directory: string) => Promise<T>): Promise<T> {
  const directory = await mkdtemp(join(tmpdir(), `${PREFIX}${hostname()}-${process.pid}-`));
  try {
    return await work(directory);
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
}

/**
 * Removes those of this user that nobody works in: their process is gone, or they are older than an hour. Returns what. One
 * that cannot be removed is handed to `onStuck`.
 */
export async function sweepBriefDirectories({ onStuck }: { onStuck: (path: string, error: Error) => void }): Promise<string[]> {
  const removed: string[] = [];
  for (const path of await findLeft()) {
    await rm(path, { recursive: true, force: true }).then(() => removed.push(path), (error: Error) => onStuck(path, error));
  }
  return removed;
}

async function findLeft(): Promise<string[]> {
  const names = await readdir(tmpdir()).catch(() => []);
  const left = await Promise.all(names.filter((name) => name.startsWith(PREFIX)).map(async (name) => {
    const path = join(tmpdir(), name);
    const found = await lstat(path).catch(() => undefined);
    if (!found?.isDirectory() || found.uid !== process.getuid?.()) return [];
    return isGone(name.slice(PREFIX.length)) || found.mtimeMs < Date.now() - LONG_MS ? [path] : [];
  }));
  return left.flat();
}

/** Whether the process that made one was of this host, which alone can tell, and has ended. */
function isGone(madeBy: string): boolean {
  const [, host, pid] = MADE_BY.exec(madeBy) ?? [];
  if (host !== hostname()) return false;
  try {
    process.kill(Number(pid), 0);
    return false;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'ESRCH';
  }
}
