import { insufficientPrivilege, sqlState } from '../manifest/errors.ts';
import { withClient, type GuardedConfig } from '../postgres/source.ts';

/** What to do where {@link lacksRight}. */
export const GRANT_IT = 'the user as whom the copy is read lacks the right (the master user, on RDS); grant it at the source';

/** Whether a query of a copy was refused for a right that who reads the copy lacks, which says nothing of what was restored. A superuser lacks none: who refuses that is what was restored. */
export async function lacksRight(error: unknown, copy: GuardedConfig): Promise<boolean> {
  if (sqlState(error) !== insufficientPrivilege) return false;
  return withClient(copy, async (client) => (await client.query<{ superuser: string }>(`SELECT current_setting('is_superuser') AS superuser`)).rows[0]?.superuser === 'off').catch((refusal: unknown) => {
    // Not even connected: no superuser is refused that.
    if (sqlState(refusal) === insufficientPrivilege) return true;
    throw refusal;
  });
}
