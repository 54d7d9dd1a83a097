import { readFile } from 'node:fs/promises';
import type { ServerUser } from './packaged-binaries.ts';

/** `nobody`: exists on every Unix, and owns nothing that a server could damage. */
const NOBODY = 65534;
/** Ids that neither distributions nor systemd give to anybody, up to and without {@link NOBODY}, whom others may run as. */
const FIRST_UNUSED = 65520;

/**
 * The user a server must run as: undefined unless this process is root. The system's `postgres`, or one who owns nothing
 * and as whom nothing runs where `postgres` is among `notAs`.
 */
export async function serverUser(notAs: readonly number[] = []): Promise<ServerUser | undefined> {
  if (process.getuid?.() !== 0) return undefined;
  const [users, groups] = await Promise.all(['/etc/passwd', '/etc/group'].map(readLines));
  const fields = users?.find((line) => line.startsWith('postgres:'))?.split(':');
  const [uid, gid] = [Number(fields?.[2]), Number(fields?.[3])];
  const usual = uid > 0 && gid > 0 ? { uid, gid } : { uid: NOBODY, gid: NOBODY };
  if (!notAs.includes(usual.uid)) return usual;
  const isTaken = (id: number) => notAs.includes(id) || [...users ?? [], ...groups ?? []].some((line) => line.split(':')[2] === String(id));
  for (let id = NOBODY - 1; id >= FIRST_UNUSED; id -= 1) if (!isTaken(id)) return { uid: id, gid: id };
  return notAs.includes(NOBODY) ? usual : { uid: NOBODY, gid: NOBODY };
}

function readLines(file: string): Promise<string[]> {
  return readFile(file, 'utf8').then((text) => text.split('\n'), () => []);
}
