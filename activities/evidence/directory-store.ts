import { randomUUID } from 'node:crypto';
import { access, link, mkdir, open, readdir, readFile, rm, stat } from 'node:fs/promises';
import path from 'node:path';
import { syncDirectory } from '../disk/sync-directory.ts';
import type { EvidenceStore, StoredName } from './store.ts';

/** What the name under which an attempt writes a file adds to the file's own: each has another, so that two never write into one. */
const PARTIAL = /\.[\w-]+\.part$/;

/**
 * A directory that only we can read. A file is complete or absent, and never overwritten. On a file system without links,
 * as mounted object stores are, it is written under its own name at once: a writer that is killed then may leave half of it.
 *
 * `mustExist`: it is not created, since what is not there may be a share that is not mounted.
 */
export function directoryStore(directory: string, { mustExist = false }: { mustExist?: boolean } = {}): EvidenceStore {
  const location = path.resolve(directory);
  const locate = (name: string) => path.join(location, name);
  const isThere = (file: string) => access(file).then(() => true, () => false);
  return {
    location,
    locate,
    async putIfAbsent(name, text) {
      const file = locate(name);
      if (mustExist) await access(location).catch((cause: Error) => { throw absent(cause); });
      await mkdir(path.dirname(file), { recursive: true, mode: 0o700 });
      if (await isThere(file)) {
        await removePartials(file);
        // An attempt that was killed may have made it and no more.
        await syncNames(file);
        return false;
      }
      return publish(file, text);
    },
    async get(name) {
      return readFile(locate(name), 'utf8').catch(unlessAbsent);
    },
    async list(folder) {
      const entries = await readdir(locate(folder ?? ''), { withFileTypes: true }).catch(unlessAbsent);
      if (!entries && mustExist && folder === undefined) throw absent();
      const names = (entries ?? []).filter((entry) => entry.isFile() && !PARTIAL.test(entry.name)).map((entry) => path.join(folder ?? '', entry.name));
      const look = async (name: string): Promise<StoredName | undefined> => {
        const info = await stat(locate(name)).catch(unlessAbsent);
        return info && { name, bytes: info.size, modifiedAtMs: info.mtimeMs };
      };
      const all: StoredName[] = [];
      // A share may die meanwhile: it is to hold one thread, and not all that there are.
      for (const some of mustExist ? names.map((name) => [name]) : [names]) for (const one of await Promise.all(some.map(look))) if (one) all.push(one);
      return all;
    },
  };

  function absent(cause?: Error): Error {
    return new Error('the directory is not there; mount it, if it is a share, or create it', { cause });
  }

  /** True when it is ours. Another's may have been made, and no more, when that died. */
  async function publish(file: string, text: string): Promise<boolean> {
    const partial = `${file}.${randomUUID()}.part`;
    await write(partial, text);
    const isOurs = await name(partial, file, text).finally(() => removePartials(file));
    await syncNames(file);
    return isOurs;
  }

  async function name(partial: string, file: string, text: string): Promise<boolean> {
    try {
      await link(partial, file);
      return true;
    } catch (error) {
      // Another was faster; it may have cleared up, too.
      if (await isThere(file)) return false;
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') throw error;
      // A file system without links: there, whoever creates the file is first.
      return await write(file, text).then(() => true, (failure: NodeJS.ErrnoException) => {
        if (failure.code === 'EEXIST') return false;
        throw failure;
      });
    }
  }
}

/** Some shares do not do that for directories: they keep names themselves. */
async function syncNames(file: string): Promise<void> {
  await syncDirectory(path.dirname(file)).catch((error: NodeJS.ErrnoException) => {
    if (!['EINVAL', 'ENOTSUP', 'EISDIR', 'EPERM', 'EACCES', 'EBADF'].includes(error.code ?? '')) throw error;
  });
}

/** Creates a file, durably. What could not be written whole is taken away again, where that is allowed. */
async function write(file: string, text: string): Promise<void> {
  const handle = await open(file, 'wx', 0o600);
  try {
    await handle.writeFile(text);
    await handle.sync();
    await handle.close();
  } catch (error) {
    await handle.close().catch(() => undefined);
    await rm(file, { force: true }).catch(() => undefined);
    throw error;
  }
}

/** What a killed attempt left; a living one finds that the file is there already. A share that keeps everything keeps this too. */
async function removePartials(file: string): Promise<void> {
  const { dir, base } = path.parse(file);
  for (const name of await readdir(dir)) {
    const rest = name.slice(base.length);
    if (name.startsWith(base) && PARTIAL.exec(rest)?.index === 0) await rm(path.join(dir, name), { force: true }).catch(() => undefined);
  }
}

function unlessAbsent(error: NodeJS.ErrnoException): undefined {
  if (error.code !== 'ENOENT') throw error;
  return undefined;
}
