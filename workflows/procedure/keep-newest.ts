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
  let against = 0;
  let oldestOfNewest = 0;
  // Counted without lists of its own: in one task it may be asked ten thousand times.
  for (let index = kept.length - 1; index >= 0; index -= 1) {
    if (!counts(kept[index] as T)) continue;
    against += 1;
    if (against === NEWEST) oldestOfNewest = index;
  }
  const isFull = against >= KEPT;
  if (isFull) kept.splice(oldestOfNewest, 1);
  kept.push(one);
  return isFull;
}
