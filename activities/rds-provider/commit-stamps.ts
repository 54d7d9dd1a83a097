import type { Client } from 'pg';
import { numberingOf, OWN_TRANSACTIONS } from '../postgres/numbering.ts';

/** More than this are not looked through: a source that committed so much since says no more than a bound. */
const MOST = 5_000_000;

/** Commit times of transactions from one number up to, but without, another; those of 32 bits are made of whole ones. Servers forget old ones. */
const STAMPED = `SELECT x, pg_xact_commit_timestamp((x % 4294967296)::text::xid) AS at FROM generate_series(greatest($1::int8, 3), $2::int8 - 1) AS x WHERE x % 4294967296 >= 3`;

/** The last commit in a copy that is of its source, RFC 3339: not later than what was restored. Null where the copy keeps no times of commits, or none so late. */
export async function lastCommitUntil(copy: Client, restored: Date): Promise<string | null> {
  const { next, keepsTimes } = await numberingOf(copy);
  if (!keepsTimes) return null;
  const { rows: [row] } = await copy.query<{ at: Date | null }>(`SELECT max(at) AS at FROM (${STAMPED}) AS stamped WHERE at <= $3`, [String(next - OWN_TRANSACTIONS), String(next), restored]);
  return row?.at?.toISOString() ?? null;
}

/** `lastCommitAt`: of the last that was lost, RFC 3339 by the source's clock; null where none was. */
export interface LostByStamps { commits: number; lastCommitAt: string | null }

/**
 * Transactions that the source had committed by an instant of its clock and the copy has not, by the times of commits that both
 * keep. A string says why they cannot be counted.
 */
export async function lostByStamps(copy: Client, source: Client, until: Date): Promise<LostByStamps | string> {
  const [ours, theirs] = [await numberingOf(copy), await numberingOf(source)];
  if (!theirs.keepsTimes || !ours.keepsTimes) return 'the source keeps no times of commits: set track_commit_timestamp = on in its parameter group';
  const from = ours.next - OWN_TRANSACTIONS;
  if (theirs.next - from > BigInt(MOST)) return `the source has begun more than ${MOST} transactions since`;
  const later = await source.query<{ commits: string; last: Date | null }>(`SELECT count(at) AS commits, max(at) AS last FROM (${STAMPED}) AS stamped WHERE at <= $3`, [String(ours.next), String(theirs.next), until]);
  // Of these numbers both have some: they are the same transaction where they were committed at the same microsecond.
  const near = (client: Client) => client.query<{ x: string; at: string }>(`SELECT x, extract(epoch FROM at)::text AS at FROM (${STAMPED}) AS stamped WHERE at <= $3`, [String(from), String(ours.next), until]);
  const [here, there] = [await near(copy), await near(source)];
  const known = new Map(here.rows.map(({ x, at }) => [x, at]));
  const lacking = there.rows.filter(({ x, at }) => known.get(x) !== at);
  const last = Math.max(later.rows[0]?.last?.getTime() ?? 0, ...lacking.map(({ at }) => Number(at) * 1_000));
  return { commits: Number(later.rows[0]?.commits ?? 0) + lacking.length, lastCommitAt: last > 0 ? new Date(last).toISOString() : null };
}
