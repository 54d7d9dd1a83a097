import type { Client } from 'pg';

/**
 * A copy that was opened for writing counts its own transactions on from where its source stood: so many of its newest may be
 * its own, and stand for others than the source's of the same number. A managed service writes a handful a minute for itself.
 */
export const OWN_TRANSACTIONS = 10_000n;

/** After so many transactions their 32 bits begin anew. */
export const ONE_ROUND = 2n ** 32n;
/** Rows of lower ones were there before any transaction, or are frozen as older servers did it. */
export const FIRST_NORMAL_XID = 3;

/** The 32 bits of some transactions in a row, oldest first, but for those that none has. */
export function numbersFrom(first: bigint, count: bigint): number[] {
  return Array.from({ length: Number(count) }, (_, n) => Number((first + BigInt(n)) % ONE_ROUND)).filter((xid) => xid >= FIRST_NORMAL_XID);
}

/** How far a server has counted its transactions, as 64 bits, and whether it keeps the times of their commits. */
export async function numberingOf(client: Client): Promise<{ next: bigint; keepsTimes: boolean }> {
  const { rows: [row] } = await client.query<{ next: string; kept: boolean }>(`SELECT pg_snapshot_xmax(pg_current_snapshot())::text AS next, current_setting('track_commit_timestamp')::bool AS kept`);
  return { next: BigInt(row?.next ?? 0), keepsTimes: row?.kept === true };
}
