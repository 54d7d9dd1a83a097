import type { FailureType } from '../../contracts/failures.ts';

/** The backup cannot be restored, as far as RDS says. */
const OF_THE_BACKUP = /^(failed|incompatible-restore|restore-error)$/;
/** Network, parameters, options, key or machine of the copy: another place might have carried it. */
const OF_ITS_PLACE = /^(incompatible-.*|inaccessible-encryption-credentials.*|insufficient-capacity)$/;

/**
 * What it means that a copy is in a state that it never gets out of by itself; undefined for any other state. Only where the state
 * is about what was restored is it a finding about the backup.
 */
export function failureOfState(status: string): FailureType | undefined {
  if (OF_THE_BACKUP.test(status)) return 'RECOVERY_FAILED';
  if (status === 'storage-full') return 'DISK_FULL';
  return OF_ITS_PLACE.test(status) ? 'PREFLIGHT' : undefined;
}
