import { randomBytes } from 'node:crypto';
import { mkdtemp, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** A new directory, with a key for passwords of drills in its file `key`. Whoever makes it removes it. */
export async function directoryWithKey(prefix: string): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), prefix));
  await writeFile(join(directory, 'key'), randomBytes(32).toString('base64'), { mode: 0o600 });
  return directory;
}
