import type { Tuple } from '../read-bucket.ts';
import type { SharedPast } from './shared-past.ts';

/** What came out for the versions of rows in one range of pages. */
export interface Matched {
  /** At the same place, made by the same transaction, and the same in the copy and its source: exact. */
  same: number;
  /** At the same place and made by the same transaction, but with another content. */
  altered: number;
  /** So, too, where nobody can tell whether it is the same transaction, or another one of that number. */
  maybeAltered: number;
  /** The source has them, the copy does not, and it must. */
  missing: number;
  /** The source has them, the copy does not, and nobody can tell whether it must. */
  untold: number;
  /** Only in the copy: the source has changed or deleted them since, or has them elsewhere. Nothing is said of what they hold. */
  changedSince: readonly Tuple[];
}

/**
 * Holds the versions of rows of a physical copy against those of its living source. A version of a row is never changed, so
 * what both have must be the same, bit for bit, whatever the source has done since.
 * @param judge which transactions the copy must have what they left of, as `SharedPast` says
 */
export async function matchTuples(copy: readonly Tuple[], source: readonly Tuple[], judge: SharedPast['judge']): Promise<Matched> {
  const left = new Map(source.map((tuple) => [tuple.place, tuple]));
  const changedSince: Tuple[] = [];
  const matched: Matched = { same: 0, altered: 0, maybeAltered: 0, missing: 0, untold: 0, changedSince };
  const differing: Tuple[] = [];
  for (const tuple of copy) {
    const other = left.get(tuple.place);
    if (other?.xmin !== tuple.xmin) { changedSince.push(tuple); continue; }
    left.delete(tuple.place);
    if (other.hash === tuple.hash) matched.same += 1;
    else differing.push(tuple);
  }
  if (left.size + differing.length === 0) return matched;
  const { shared, untold, ambiguous } = await judge(new Set([...left.values(), ...differing].map(({ xmin }) => xmin)));
  for (const { xmin } of left.values()) {
    if (shared.has(xmin)) matched.missing += 1;
    else if (untold.has(xmin)) matched.untold += 1;
  }
  for (const tuple of differing) {
    const { xmin } = tuple;
    // What the copy has itself is of no later round.
    if (shared.has(xmin) || ambiguous.has(xmin)) matched.altered += 1;
    else if (untold.has(xmin)) matched.maybeAltered += 1;
    else changedSince.push(tuple);
  }
  return matched;
}
