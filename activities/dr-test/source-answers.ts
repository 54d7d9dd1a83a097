import { setTimeout as sleep } from 'node:timers/promises';
import { takesNoConnection } from '../manifest/since/absent-database.ts';
import { isRefused } from '../postgres/unreachable.ts';
import { withClient, type GuardedConfig } from '../postgres/source.ts';

/** How long is waited before each further try: one connection may fail for a moment, as where there is no room for another; a source that is gone holds up a drill no longer than this. */
const PAUSES_MS = [1_000, 3_000, 6_000];

/**
 * Whether a source answers by now, so that a copy can be held against it. It does, too, where it has no such database any more.
 * What refuses us for good is not asked again.
 * @param pausesMs before each further try, in milliseconds
 */
export async function sourceAnswers(config: GuardedConfig, signal: AbortSignal, pausesMs: readonly number[] = PAUSES_MS): Promise<boolean> {
  for (const pauseMs of [...pausesMs, null]) {
    try {
      await withClient(config, (client) => client.query('SELECT'), signal);
      return true;
    } catch (error) {
      signal.throwIfAborted();
      if (takesNoConnection(error)) return true;
      if (isRefused(error) || pauseMs === null) return false;
    }
    await sleep(pauseMs, undefined, { signal });
  }
  return false;
}
