import { readFile } from 'node:fs/promises';
import { RecoveryFailure } from '../archive/recovery-failure.ts';
import type { Drill } from './drill.ts';

/** Another one after each start of this host; as a rule not after that of a container. `null` where it is not Linux, which alone says. */
export async function readBootId(): Promise<string | null> {
  return readFile('/proc/sys/kernel/random/boot_id', 'utf8').then((text) => text.trim(), () => null);
}

/**
 * A copy is not waited for until the disk has it: after a power cut files of it may be empty, and a server would take that
 * for a damaged backup, or for the end of the WAL.
 * @throws RecoveryFailure `HOST_RESTARTED`
 */
export async function refuseRestartedHost({ bootId }: Pick<Drill, 'bootId'>): Promise<void> {
  const now = await readBootId();
  if (bootId === undefined || bootId === null || now === null || bootId === now) return;
  throw new RecoveryFailure('HOST_RESTARTED', 'This host was restarted since the backup was copied, or another one goes on with its drill: what had not come to the disk by then is lost, which says nothing about the backup. Start the drill again.');
}
