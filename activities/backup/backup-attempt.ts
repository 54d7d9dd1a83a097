import { mkdir, readdir, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { RecoveryFailure } from '../archive/recovery-failure.ts';
import { backupPaths } from '../archive/layout.ts';

/** The place also holds a record of its own. */
const ATTEMPT = /^attempt-\d+$/;

/**
 * The directory in which this attempt takes its backup: each has one of its own, made without its parents. A stalled
 * predecessor that wakes up, or its copying process, finds that its own is gone and can spoil nothing. A finished one of
 * an attempt whose reply was lost is used again.
 * @throws RecoveryFailure `FENCED` when the place is gone
 */
export async function openAttempt(place: string, attempt: number, signal?: AbortSignal): Promise<string> {
  const names = await readdir(place).catch((cause: Error) => {
    throw new RecoveryFailure('FENCED', `${place} is not there: this backup's right to write was revoked.`, { cause });
  });
  const earlier = names.filter((name) => ATTEMPT.test(name));
  for (const name of earlier) {
    if (await stat(backupPaths(join(place, name)).description).then(() => true, () => false)) return name;
  }
  // A later one is another's, who took over from us.
  for (const name of earlier.filter((one) => Number(one.slice('attempt-'.length)) <= attempt)) {
    signal?.throwIfAborted();
    await rm(join(place, name), { recursive: true, force: true, maxRetries: 3 });
  }
  const name = `attempt-${attempt}`;
  await mkdir(join(place, name), { mode: 0o700 });
  return name;
}
