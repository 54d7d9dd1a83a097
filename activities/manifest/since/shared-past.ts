import type { Client } from 'pg';
import type { DatabaseManifest } from '../../../contracts/manifest.ts';
import { FIRST_NORMAL_XID, numberingOf, numbersFrom, ONE_ROUND, OWN_TRANSACTIONS } from '../../postgres/numbering.ts';
import { type CommitTime, commitTimes, isAfter, isSameTime, lastOfBoth, sameTransactions, type TimesOfBoth } from './commit-times.ts';
import { ofSource } from './of-source.ts';

/** What is known of transactions that the source has committed. Those that are in none of these are surely the source's own of after the copy's instant. */
export interface Judged {
  /** Committed by the copy's instant: what they left and the source still has, the copy must have. */
  shared: Set<number>;
  /** Nobody can tell whether they were. */
  untold: Set<number>;
  /** Either the source's own of after the copy, or what both have of that number from 2^32 transactions before. */
  ambiguous: Set<number>;
}

/** Which transactions a copy has in common with its source. */
export interface SharedPast {
  judge(xids: ReadonlySet<number>): Promise<Judged>;
  /** Those that are surely {@link Judged.shared}. */
  committed(xids: ReadonlySet<number>): Promise<Set<number>>;
  /** Whether the source made each of these after the copy's instant: none of them is, or may be, one of those that they have in common. */
  areLater(xids: ReadonlySet<number>): Promise<boolean>;
  /** Whether each of these, of the copy, was begun after the manifest; false also where that does not say. */
  areSinceManifest(xids: ReadonlySet<number>): boolean;
  /** Whether what this one of the copy made was there by the manifest, to be seen unless it had been deleted; false also where that does not say. */
  isOfManifest(xid: number): boolean;
  /** Whether one of the copy was perhaps not over by the manifest; false also where that does not say. */
  isMaybeSinceManifest(xid: number): boolean;
  /** Whether the copy has come as far as the manifest; false also where that does not say. */
  readonly hasReachedManifest: boolean;
  /** Those that the copy itself says were committed when, as the source says, and does not count as committed. */
  forgotten(): Promise<number[]>;
}

/** Whether a copy must have what one transaction left at its source. */
export async function mustHave(past: Pick<SharedPast, 'committed'>, xid: number): Promise<boolean> {
  return (await past.committed(new Set([xid]))).size > 0;
}

/** A transaction by 32 bits, and by 64 as the copy has it. */
interface Asked { xid: number; whole: bigint }

/**
 * @param copy over which the copy is asked; in a transaction or not
 * @param source the same of the source
 * @param seen what the manifest says of transactions
 */
export async function sharedPast(copy: Client, source: Client, seen: DatabaseManifest['transactions']): Promise<SharedPast> {
  const { next, keepsTimes } = await numberingOf(copy);
  const bothKeepTimes = keepsTimes && (await ofSource(numberingOf(source))).keepsTimes;
  // A copy that has not come so far is of before that manifest, which then says nothing of it.
  const isSeen = seen !== undefined && BigInt(seen.begunBelow) <= next;
  const [finishedBelow, begunBelow] = isSeen ? [BigInt(seen.finishedBelow), BigInt(seen.begunBelow)] : [0n, 0n];
  const firstOwn = next - OWN_TRANSACTIONS;
  const wholeOf = (xid: number): bigint => {
    const sameRound = (next / ONE_ROUND) * ONE_ROUND + BigInt(xid);
    return sameRound < next ? sameRound : sameRound - ONE_ROUND;
  };
  const timesOfBoth = async (xids: readonly number[]): Promise<TimesOfBoth> => ({ copy: keepsTimes ? await commitTimes(copy, xids) : new Map(), source: bothKeepTimes ? await ofSource(commitTimes(source, xids)) : new Map() });
  let youngest: Promise<TimesOfBoth> | undefined;
  /** All that they may have in common of the newest, read once. */
  const ofYoungest = () => (youngest ??= timesOfBoth(numbersFrom(firstOwn, OWN_TRANSACTIONS)));
  let last: ReturnType<typeof lastOfBoth> | undefined;
  const lastShared = async () => (last ??= lastOfBoth(await ofYoungest()));
  const fateOf = async ({ whole }: Asked, isCommitted: boolean, ours: CommitTime | undefined, theirs: CommitTime | undefined): Promise<'shared' | 'untold' | 'later'> => {
    const isOld = whole < firstOwn;
    if (isOld && isCommitted) return 'shared';
    if (!isOld && ours && theirs) return isSameTime(ours, theirs) ? 'shared' : 'later';
    // What had been begun by the manifest has the same number in all copies of after it.
    if ((isOld || whole < begunBelow) && (isCommitted || ours !== undefined)) return 'shared';
    // The source has what it left, so it was committed, and by then: the copy has forgotten that.
    if (whole < finishedBelow) return 'shared';
    // Under way at the copy's instant, or of after it.
    if (!isCommitted && !ours && theirs && isAfter(await lastShared(), theirs)) return 'later';
    return 'untold';
  };
  const judge = async (xids: ReadonlySet<number>): Promise<Judged> => {
    const judged: Judged = { shared: new Set([...xids].filter((xid) => xid < FIRST_NORMAL_XID)), untold: new Set(), ambiguous: new Set() };
    // Asked after the rows were read: by now the source has counted beyond all that made them.
    const { next: reached } = await ofSource(numberingOf(source));
    const asked: Asked[] = [];
    for (const xid of xids) {
      const whole = wholeOf(xid);
      // What would be of before the first transaction is the source's own, of after the copy.
      if (xid < FIRST_NORMAL_XID || whole <= 0n) continue;
      // What can be read as the source's own of after the copy may be that, a round later than what the copy has of that number, or not.
      if (whole + ONE_ROUND < reached) judged.ambiguous.add(xid);
      else asked.push({ xid, whole });
    }
    const committed = await committedIn(copy, asked);
    const doubtful = asked.filter(({ xid, whole }) => whole >= firstOwn || !committed.has(xid)).map(({ xid }) => xid);
    const times = doubtful.length > 0 ? await timesOfBoth(doubtful) : undefined;
    for (const one of asked) {
      const fate = await fateOf(one, committed.has(one.xid), times?.copy.get(one.xid), times?.source.get(one.xid));
      if (fate !== 'later') judged[fate].add(one.xid);
    }
    return judged;
  };
  return {
    judge,
    committed: async (xids) => (await judge(xids)).shared,
    async areLater(xids) {
      const { shared, untold, ambiguous } = await judge(xids);
      return shared.size + untold.size + ambiguous.size === 0;
    },
    areSinceManifest: (xids) => isSeen && [...xids].every((xid) => xid >= FIRST_NORMAL_XID && wholeOf(xid) >= begunBelow),
    isOfManifest: (xid) => isSeen && (xid < FIRST_NORMAL_XID || (wholeOf(xid) > 0n && wholeOf(xid) < finishedBelow)),
    isMaybeSinceManifest: (xid) => isSeen && xid >= FIRST_NORMAL_XID && wholeOf(xid) >= finishedBelow,
    hasReachedManifest: isSeen,
    async forgotten() {
      if (!bothKeepTimes) return [];
      const both = sameTransactions(await ofYoungest()).map((xid) => ({ xid, whole: wholeOf(xid) }));
      const committed = await committedIn(copy, both);
      return both.filter(({ xid }) => !committed.has(xid)).map(({ xid }) => xid);
    },
  };
}

/** Those that are committed in a copy. Of what is so old that the server has forgotten it, all is committed that left anything. */
async function committedIn(copy: Client, asked: readonly Asked[]): Promise<Set<number>> {
  const { rows } = await copy.query<{ xid: string; status: string | null }>('SELECT x::text AS xid, pg_xact_status(x::text::xid8) AS status FROM unnest($1::text[]) AS x', [asked.map(({ whole }) => String(whole))]);
  const committed = new Set(rows.filter(({ status }) => status === null || status === 'committed').map(({ xid }) => BigInt(xid)));
  return new Set(asked.filter(({ whole }) => committed.has(whole)).map(({ xid }) => xid));
}
