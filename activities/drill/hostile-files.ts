import { randomBytes } from 'node:crypto';
import { constants, type Stats } from 'node:fs';
import { type FileHandle, open, rename, rm } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { RecoveryFailure } from '../archive/recovery-failure.ts';

// Files where a hostile user may have exchanged them: the functions of a restored database run as the copy's user, who
// owns some of a drill's directories, or all of them where the worker is not root. What is there may be a link, a pipe
// that nobody writes to, or a second name of a file that is hidden from that user.

const { O_APPEND, O_CREAT, O_DIRECTORY, O_EXCL, O_NOFOLLOW, O_NONBLOCK, O_RDONLY, O_WRONLY } = constants;

/** As much as a lock file or a record of ours ever is. */
const SMALL_BYTES = 4096;

/**
 * Reads a small file of the copy's: never through a link, never waiting for what is no file, and no more than `limit`
 * bytes of it.
 * @throws ENOENT where nothing is, and ELOOP, ENXIO or `NOT_OUR_DRILL` for what is no file
 */
export async function readSmallFile(path: string, limit = SMALL_BYTES): Promise<string> {
  const file = await openRegularFile(path);
  try {
    const { buffer, bytesRead } = await file.read(Buffer.alloc(limit), 0, limit, 0);
    return buffer.toString('utf8', 0, bytesRead);
  } finally {
    await file.close();
  }
}

/** Opens a file of the copy's for reading, as {@link readSmallFile} does. To be closed by the caller. */
export async function openRegularFile(path: string): Promise<FileHandle> {
  return keepIf((info) => info.isFile(), path, await open(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK));
}

/**
 * Puts a file in the place of whatever has its name, by renaming: what that leads to is not written to. For `owner`, where
 * one is given.
 */
export async function replaceFile(path: string, text: string | Buffer, args: { mode: number; owner?: { uid: number; gid: number } | null }): Promise<void> {
  await within(path, async (place) => {
    const fresh = `${place}.${randomBytes(6).toString('hex')}`;
    const file = await open(fresh, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, args.mode);
    try {
      await file.writeFile(text);
      if (args.owner) await file.chown(args.owner.uid, args.owner.gid);
      await rename(fresh, place);
    } catch (error) {
      await rm(fresh, { force: true });
      throw error;
    } finally {
      await file.close();
    }
  });
}

/**
 * Opens a file to be appended to, made if it is not there. To be closed by the caller.
 * @throws RecoveryFailure `NOT_OUR_DRILL` where something else is in its place
 */
export async function openToAppend(path: string, mode: number): Promise<FileHandle> {
  return within(path, async (place) => {
    const file = await open(place, O_WRONLY | O_APPEND | O_CREAT | O_NOFOLLOW | O_NONBLOCK, mode).catch((cause: NodeJS.ErrnoException) => {
      // A link, and a pipe without a reader.
      if (cause.code === 'ELOOP' || cause.code === 'ENXIO') throw exchanged(path, cause);
      throw cause;
    });
    // A second name may be that of a file which whoever gave it could not write to.
    return keepIf((info) => info.isFile() && info.nlink <= 1, path, file);
  });
}

async function keepIf(isFit: (info: Stats) => boolean, path: string, file: FileHandle): Promise<FileHandle> {
  if (isFit(await file.stat())) return file;
  await file.close();
  throw exchanged(path);
}

/** Works with a name in the directory as it is now, whatever becomes of the directory's own name meanwhile. */
async function within<T>(path: string, work: (place: string) => Promise<T>): Promise<T> {
  const parent = dirname(path);
  const directory = await open(parent, O_RDONLY | O_DIRECTORY | O_NOFOLLOW).catch((cause: NodeJS.ErrnoException) => {
    if (cause.code === 'ELOOP' || cause.code === 'ENOTDIR') throw exchanged(parent, cause);
    throw cause;
  });
  try {
    return await work(process.platform === 'linux' ? join('/proc/self/fd', String(directory.fd), basename(path)) : path);
  } finally {
    await directory.close();
  }
}

function exchanged(path: string, cause?: Error): RecoveryFailure {
  return new RecoveryFailure('NOT_OUR_DRILL', `${path} is not what the worker made there. Something in the copy may have put that there; it was left alone.`, { cause });
}
