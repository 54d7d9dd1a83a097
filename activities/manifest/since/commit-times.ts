import type { Client } from 'pg';

/** When a transaction was committed, to the microsecond, and by whose clock: 0 is the server's own, else that of the publisher of which it applied changes. */
export interface CommitTime { seconds: string; origin: string }

/** Of some transactions, by 32 bits, those of which the server has kept the time of their commit. It must keep them (`track_commit_timestamp`). */
export async function commitTimes(client: Client, xids: readonly number[]): Promise<Map<number, CommitTime>> {
  const { rows } = await client.query<{ xid: string; seconds: string; origin: string }>(
    'SELECT x AS xid, extract(epoch FROM c.timestamp)::text AS seconds, c.roident::text AS origin FROM unnest($1::text[]) AS x, pg_xact_commit_timestamp_origin(x::xid) AS c WHERE c.timestamp IS NOT NULL', [xids.map(String)]);
  return new Map(rows.map(({ xid, ...time }) => [Number(xid), time]));
}

/** Two transactions of one number that were committed in the same microsecond are one. */
export function isSameTime(ours: CommitTime, theirs: CommitTime): boolean {
  return ours.seconds === theirs.seconds && ours.origin === theirs.origin;
}

/** A commit takes its time before it is written down, and others may be quicker: so far apart may two be the other way round. */
const OUT_OF_ORDER_SECONDS = 1;

/** What two servers say of transactions of the same numbers. */
export interface TimesOfBoth { copy: ReadonlyMap<number, CommitTime>; source: ReadonlyMap<number, CommitTime> }

/** Numbers that both have of one transaction. */
export function sameTransactions({ copy, source }: TimesOfBoth): number[] {
  return [...copy].flatMap(([xid, ours]) => {
    const theirs = source.get(xid);
    return theirs && isSameTime(ours, theirs) ? [xid] : [];
  });
}

/** The last commit that both have, by each clock, in seconds: to there, or further, the copy goes. */
export function lastOfBoth(times: TimesOfBoth): Map<string, number> {
  const last = new Map<string, number>();
  for (const xid of sameTransactions(times)) {
    const { seconds, origin } = times.copy.get(xid) ?? { seconds: '0', origin: '0' };
    last.set(origin, Math.max(last.get(origin) ?? 0, Number(seconds)));
  }
  return last;
}

/** Whether the source committed this after all that the copy has; false also where nobody can tell. */
export function isAfter(last: ReadonlyMap<string, number>, { seconds, origin }: CommitTime): boolean {
  const until = last.get(origin);
  return until !== undefined && Number(seconds) > until - OUT_OF_ORDER_SECONDS;
}
