import type { ClientConfig } from 'pg';
import { endSessions, findSessions, impatient } from '../postgres/run-sessions.ts';
import { unreachable } from '../postgres/unreachable.ts';

/** Ends what a run still has open at its source; 0 where the source does not answer, which the proof then says. */
export async function endSourceSessions(source: ClientConfig, applicationName: string): Promise<number> {
  return endSessions(impatient(source), applicationName).catch(() => 0);
}

/**
 * What was looked at, and the sessions of a run that are left at its source. Throws where it answers and does not let us
 * look. One that is down is no obstacle to a drill, which is what is done when it is down.
 */
export async function lookForSourceSessions(source: ClientConfig, applicationName: string): Promise<{ looked: string; found: string[] }> {
  try {
    return { looked: 'sessions at the source', found: await findSessions(impatient(source), applicationName) };
  } catch (error) {
    // The sessions of a server that is down are gone with it. Of one that only refuses us nothing is known.
    const silent = unreachable(error);
    if (!silent) throw error;
    return { looked: `no sessions at the source: ${silent.message}`, found: [] };
  }
}
