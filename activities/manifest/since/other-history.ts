import type { Client } from 'pg';
import type { DatabaseManifest, Manifest } from '../../../contracts/manifest.ts';
import { numberingOf, numbersFrom } from '../../postgres/numbering.ts';
import { insufficientPrivilege, sqlState } from '../errors.ts';
import { timelineOf } from '../timeline.ts';
import { commitTimes } from './commit-times.ts';
import { AGAIN } from './not-compared.ts';
import { ofSource } from './of-source.ts';

/** Why what is not as a manifest has it may be rightly so, and what to do. */
export const RESTORED_SINCE = `the source was itself restored to an earlier point since the manifest, or has failed over, by which nothing need be lost; ${AGAIN}`;

/** So many of the last transactions that were over by a manifest are asked for: those that were rolled back have no time. */
const ASKED = 1_000n;
/** A clock may have been set back by so much between a commit and the manifest. */
const SET_BACK_MS = 1_000;

/**
 * How the source shows that a manifest need not be of its past: it was itself restored to an earlier point, or failed over, since that was
 * taken; null where nothing shows it. What it did since, it did by numbers, and at positions of the WAL, that the manifest means others by.
 * Whoever recovers to a point, or promotes a standby, begins another timeline; who restores a snapshot of its volume need not, and
 * then the times of its commits tell, where it keeps these.
 */
export async function otherHistory(source: Client, { timeline }: Manifest, expected: DatabaseManifest): Promise<string | null> {
  const now = await ofSource(timelineIfTold(source));
  if (now !== undefined && now !== timeline) return `the source is on timeline ${now}, and the manifest is of timeline ${timeline}`;
  const later = await ofSource(committedSince(source, expected));
  return later === undefined ? null : `transaction ${later} was over by the manifest, and the source has committed one of that number since`;
}

/** Undefined where we may not ask. */
async function timelineIfTold(source: Client): Promise<number | undefined> {
  return timelineOf(source).catch((error: unknown) => {
    if (sqlState(error) !== insufficientPrivilege) throw error;
    return undefined;
  });
}

/** A transaction that was over by the manifest, and that the source says it committed later. */
async function committedSince(source: Client, { transactions, takenAtBySource }: DatabaseManifest): Promise<number | undefined> {
  if (transactions === undefined || takenAtBySource === undefined || !(await numberingOf(source)).keepsTimes) return undefined;
  const [below, takenMs] = [BigInt(transactions.finishedBelow), Date.parse(takenAtBySource)];
  const asked = below < ASKED ? below : ASKED;
  const last = numbersFrom(below - asked, asked);
  const times = await commitTimes(source, last);
  // What it applied of a publisher has the times of that one's clock.
  return last.findLast((xid) => {
    const { seconds, origin } = times.get(xid) ?? { seconds: '0', origin: '0' };
    return origin === '0' && Number(seconds) * 1000 > takenMs + SET_BACK_MS;
  });
}
