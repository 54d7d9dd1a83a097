/**
 * Each one asks for a slot on the source, and for what waiting for it holds back there. On a busy source that restarts
 * sequences twice a second about every second position has one just before it: with 2 retries, and with 6, one of 50
 * drills was left without a bound; with 15 it is one of 65 000.
 */
const MOST_RETRIES = 15;
/** So many at least, however long they take, and more where positions are to be had at once. */
const DEAR_RETRIES = 2;
const CHEAP_MS = 60_000;

/** Counts how often and how long a position was fixed in vain, for the sake of sequences alone; then the manifest goes without their bounds. */
export class SequencePatience {
  #retries = 0;
  #waitedMs = 0;
  readonly #mostWaitMs: number;

  /** @param mostWaitMs no further position is asked for once this was spent on those that were given up */
  constructor(mostWaitMs: number) { this.#mostWaitMs = mostWaitMs; }

  get isOver(): boolean { return this.#retries >= MOST_RETRIES || this.#waitedMs > this.#mostWaitMs || (this.#retries >= DEAR_RETRIES && this.#waitedMs > CHEAP_MS); }

  gaveUp(waitedMs: number): void {
    this.#retries += 1;
    this.#waitedMs += waitedMs;
  }
}
