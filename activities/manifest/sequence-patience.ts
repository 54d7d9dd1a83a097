/** Each one asks for a slot on the source, and for what waiting for it holds back there. */
const MOST_RETRIES = 2;

/** Counts how often and how long a position was fixed in vain, for the sake of sequences alone; then the manifest goes without their bounds. */
export class SequencePatience {
  #retries = 0;
  #waitedMs = 0;
  readonly #mostWaitMs: number;

  /** @param mostWaitMs no further position is asked for once this was spent on those that were given up */
  constructor(mostWaitMs: number) { this.#mostWaitMs = mostWaitMs; }

  get isOver(): boolean { return this.#retries >= MOST_RETRIES || this.#waitedMs > this.#mostWaitMs; }

  gaveUp(waitedMs: number): void {
    this.#retries += 1;
    this.#waitedMs += waitedMs;
  }
}
