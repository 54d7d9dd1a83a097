import type { Client } from '@temporalio/client';
import type { Owner } from '../../contracts/ledger.ts';
import { answersOf } from './activity-end.ts';
import { argument } from './argument.ts';
import { readLives } from './run-history.ts';

/**
 * What an activity answered to a run, in each of its lives, as far as the server still has their histories: the run knows it, whatever
 * the world looks like by now.
 */
export async function resultsOf(client: Client, owner: Owner, activity: string): Promise<unknown[]> {
  const { histories } = await readLives(client, owner);
  return [...histories.values()].flatMap((events) => answersOf(events, activity).map((answer) => argument(answer)));
}
