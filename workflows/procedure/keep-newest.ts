/**
 * So many refusals are kept in words, and so many refused decisions of one gate; the rest is counted. Whoever can reach the
 * server can send any number, and evidence must stay small enough to be written.
 */
const KEPT = 50;
/** Of them so many are the newest: who sends something looks at once, whoever has sent how much before. */
const NEWEST = 10;

/**
 * Adds to a list of which the first and the newest are kept.
 *
 * @param counts whether one counts against the limit; without it, all do
 * @returns whether one was left out for it
 */
export function keepNewest<T>(kept: T[], one: T, counts: (candidate: T) => boolean = () => true): boolean {
  const against = kept.flatMap((candidate, index) => (counts(candidate) ? [index] : []));
  const isFull = against.length >= KEPT;
  if (isFull) kept.splice(against.at(-NEWEST) ?? 0, 1);
  kept.push(one);
  return isFull;
}
