import { createHash } from 'node:crypto';
import { access, chmod, chown, readdir, readFile, rename, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

/** Where in a published backup a file of the source's data directory is: tablespaces stand beside `data`. */
export function publishedPath(path: string): string {
  const tablespace = /^pg_tblspc\/(\d+)\/(.+)$/.exec(path);
  return tablespace ? `tablespaces/${tablespace[1]}/${tablespace[2]}` : `data/${path}`;
}

interface ListedFile {
  path: string;
  size: number;
  sha256: string;
}

const sha256 = (content: Buffer | string) => createHash('sha256').update(content).digest('hex');

/**
 * Makes the backup's own records agree with a file that was changed: its hash and size in `files.json`, and the hash of
 * that in `backup.json`.
 */
export async function forgeHashes(backupDirectory: string, path: string): Promise<void> {
  const listPath = join(backupDirectory, 'files.json');
  const before = await readFile(listPath, 'utf8');
  const list = JSON.parse(before) as { files: ListedFile[] };
  const candidates = new Set([path, path.replace(/^data\//, '')]);
  const entry = list.files.find((file) => candidates.has(file.path));
  if (!entry) throw new Error(`files.json does not list ${path}`);
  const oldHash = entry.sha256;
  const content = await readFile(join(backupDirectory, path));
  entry.sha256 = sha256(content);
  entry.size = content.length;
  // Replaced as text first, so that the file's layout stays as its writer made it.
  const replaced = before.replaceAll(oldHash, entry.sha256);
  const after = before.split(oldHash).length === 2 ? replaced : JSON.stringify(list);
  await replaceFile(listPath, after);
  await replaceHash(backupDirectory, before, after);
}

/** Puts another manifest into a backup as if it had been published with that one. */
export async function forgeManifest(backupDirectory: string, content: string): Promise<void> {
  const path = join(backupDirectory, 'manifest.json');
  const before = await readFile(path, 'utf8');
  await replaceFile(path, content);
  await replaceHash(backupDirectory, before, content);
}

/** In `backup.json`. Throws when it does not hold the hash: the damage would not be silent. */
async function replaceHash(backupDirectory: string, before: string, after: string): Promise<void> {
  const path = join(backupDirectory, 'backup.json');
  const record = await readFile(path, 'utf8');
  if (!record.includes(sha256(before))) throw new Error(`${path} does not hold the hash of what was replaced`);
  await replaceFile(path, record.replaceAll(sha256(before), sha256(after)));
}

/** Writes beside the file and renames, with its mode and owner: a hard link of the old content elsewhere stays whole. */
export async function replaceFile(path: string, content: Buffer | string): Promise<void> {
  const { mode, uid, gid } = await stat(path);
  await writeFile(`${path}.new`, content, { mode: 0o600 });
  await chmod(`${path}.new`, mode);
  await chown(`${path}.new`, uid, gid);
  await rename(`${path}.new`, path);
}

/** The segments, in order, that recovery needs after the one it starts in and before the last there is. */
export async function middleSegments(backupDirectory: string, walDirectory: string): Promise<string[]> {
  const label = await readFile(join(backupDirectory, 'backup_label'), 'utf8')
    .catch(() => readFile(join(backupDirectory, 'data/backup_label'), 'utf8'))
    .catch(() => readFile(join(backupDirectory, 'backup.json'), 'utf8'));
  const start = /\(file ([0-9A-F]{24})\)/.exec(label)?.[1] ?? /[0-9A-F]{24}/.exec(label)?.[0];
  // A segment from before the backup's start is not missed by anybody: taking one would damage nothing.
  if (start === undefined) throw new Error(`nothing in ${backupDirectory} says in which segment the backup began`);
  const segments = (await readdir(walDirectory)).filter((name) => /^[0-9A-F]{24}$/.test(name)).sort();
  const middle = segments.filter((name) => name > start).slice(0, -1);
  if (middle.length === 0) throw new Error(`${walDirectory} has no segment between ${start} and the last one: archive more WAL first`);
  return middle;
}

/** Throws a sentence with the path if the file is not there. */
export async function mustExist(path: string): Promise<void> {
  await access(path).catch((cause: unknown) => {
    throw new Error(`${path} is not in the backup`, { cause });
  });
}
