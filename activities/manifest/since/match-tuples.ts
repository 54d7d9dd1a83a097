import type { Tuple } from '../read-bucket.ts';

/** What came out for the versions of rows in one range of pages. */
export interface Matched {
  /** At the same place, made by the same transaction, and the same in the copy and its source: exact. */
  same: number;
  /** At the same place and made by the same transaction, but with another content. */
  altered: number;
  /** The source has them, the copy does not, and it must. */
  missing: number;
  /** Only in the copy: the source has changed or deleted them since, or has them elsewhere. Nothing is said of them. */
  changedSince: number;
}

/**
 * Holds the versions of rows of a physical copy against those of its living source. A version of a row is never changed, so
 * what both have must be the same, bit for bit, whatever the source has done since.
 * @param committed which transactions the copy must have what they left of, as `SharedPast` says
 */
export async function matchTuples(copy: readonly Tuple[], source: readonly Tuple[], committed: (xids: ReadonlySet<number>) => Promise<ReadonlySet<number>>): Promise<Matched> {
  const left = new Map(source.map((tuple) => [tuple.place, tuple]));
  const matched: Matched = { same: 0, altered: 0, missing: 0, changedSince: 0 };
  for (const tuple of copy) {
    const other = left.get(tuple.place);
    if (other?.xmin !== tuple.xmin) { matched.changedSince += 1; continue; }
    left.delete(tuple.place);
    if (other.hash === tuple.hash) matched.same += 1;
    else matched.altered += 1;
  }
  if (left.size > 0) {
    const mustBeThere = await committed(new Set([...left.values()].map(({ xmin }) => xmin)));
    for (const { xmin } of left.values()) if (mustBeThere.has(xmin)) matched.missing += 1;
  }
  return matched;
}
