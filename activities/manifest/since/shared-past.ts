import type { Client } from 'pg';
import { numberingOf, OWN_TRANSACTIONS } from '../../postgres/numbering.ts';
import { ofSource } from './of-source.ts';

const ONE_ROUND = 2n ** 32n;
/** Rows of these were there before any transaction, or are frozen as older servers did it. */
const FIRST_NORMAL_XID = 3;

/** Which transactions a copy has in common with its source. */
export interface SharedPast {
  /** Of these, those that are committed in the copy, and surely the source's: what they left there, the copy must have. */
  committed(xids: ReadonlySet<number>): Promise<Set<number>>;
  /** Whether the source made each of these after the copy's instant: none of them is, or may be, one of those that they have in common. */
  areLater(xids: ReadonlySet<number>): Promise<boolean>;
}

/** Of some transactions, those that both have, and whether there are others that both may have. */
interface Judged { shared: Set<number>; isUntold: boolean }

/**
 * @param copy over which the copy is asked; in a transaction or not
 * @param source the same of the source
 */
export async function sharedPast(copy: Client, source: Client): Promise<SharedPast> {
  const { next, keepsTimes } = await numberingOf(copy);
  const hasStamps = keepsTimes && (await ofSource(numberingOf(source))).keepsTimes;
  const wholeOf = (xid: number): bigint => {
    const sameRound = (next / ONE_ROUND) * ONE_ROUND + BigInt(xid);
    return sameRound < next ? sameRound : sameRound - ONE_ROUND;
  };
  const judge = async (xids: ReadonlySet<number>): Promise<Judged> => {
    const shared = new Set<number>([...xids].filter((xid) => xid < FIRST_NORMAL_XID));
    // Asked after the rows were read: by now the source has counted beyond all that made them.
    const { next: reached } = await ofSource(numberingOf(source));
    // What would be of before the first transaction is the source's own, of after the copy.
    const ofBefore = [...xids].filter((xid) => xid >= FIRST_NORMAL_XID).map((xid) => ({ xid, whole: wholeOf(xid) })).filter(({ whole }) => whole > 0n);
    // What can be read as the source's own of after the copy may be that, a round later than what the copy has of that number, or not.
    const asked = ofBefore.filter(({ whole }) => whole + ONE_ROUND >= reached);
    const isAmbiguous = asked.length < ofBefore.length;
    // Of what is so old that the server has forgotten it, all is committed that left anything.
    const { rows } = await copy.query<{ xid: string; status: string | null }>('SELECT x::text AS xid, pg_xact_status(x::text::xid8) AS status FROM unnest($1::text[]) AS x', [asked.map(({ whole }) => String(whole))]);
    const committed = new Set(rows.filter(({ status }) => status === null || status === 'committed').map(({ xid }) => BigInt(xid)));
    const old = asked.filter(({ whole }) => committed.has(whole) && whole < next - OWN_TRANSACTIONS);
    const young = asked.filter(({ whole }) => committed.has(whole) && whole >= next - OWN_TRANSACTIONS);
    for (const { xid } of old) shared.add(xid);
    if (young.length === 0) return { shared, isUntold: isAmbiguous };
    if (!hasStamps) return { shared, isUntold: true };
    const [ours, theirs] = [await stampsOf(copy, young), await ofSource(stampsOf(source, young))];
    // Two transactions of one number that were committed in the same microsecond are one.
    for (const { xid } of young) if (ours.get(xid) !== undefined && ours.get(xid) === theirs.get(xid)) shared.add(xid);
    return { shared, isUntold: isAmbiguous || young.some(({ xid }) => ours.get(xid) === undefined || theirs.get(xid) === undefined) };
  };
  return {
    committed: async (xids) => (await judge(xids)).shared,
    async areLater(xids) {
      const { shared, isUntold } = await judge(xids);
      return shared.size === 0 && !isUntold;
    },
  };
}

async function stampsOf(client: Client, asked: readonly { xid: number }[]): Promise<Map<number, string>> {
  const { rows } = await client.query<{ xid: string; at: string | null }>('SELECT x AS xid, extract(epoch FROM pg_xact_commit_timestamp(x::xid))::text AS at FROM unnest($1::text[]) AS x', [asked.map(({ xid }) => String(xid))]);
  return new Map(rows.flatMap(({ xid, at }): [number, string][] => (at === null ? [] : [[Number(xid), at]])));
}
