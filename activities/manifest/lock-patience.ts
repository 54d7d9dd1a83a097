/** How long something may stay locked by somebody else before the reading gives up on it. */
const MOST_MS = 60_000;
/** And how often it must have been found locked: between two tries all other work is done, so that a minute may hold only two. */
const LEAST_REFUSALS = 10;

/** Patience with one thing that others keep locked, from the first refusal on. */
export class LockPatience {
  #since: number | undefined;
  #refusals = 0;

  /** Notes one more refusal; false when that was one too many. */
  goesOn(): boolean {
    this.#since ??= performance.now();
    this.#refusals += 1;
    return this.#refusals < LEAST_REFUSALS || performance.now() - this.#since <= MOST_MS;
  }
}
