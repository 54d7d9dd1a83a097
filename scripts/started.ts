const ENDED = 'what this was started for has been ended';

/**
 * What a program has started and has to end, whatever happens: newest first, each one although another could not be ended, and once.
 */
export class Started {
  readonly #ends: (() => Promise<unknown>)[] = [];
  readonly #starting = new Set<Promise<unknown>>();
  readonly #log: (line: string) => void;
  readonly #signal: AbortSignal | undefined;
  #ending: Promise<void> | undefined;

  /** @param options.signal aborted when nothing more is to be started; it ends nothing by itself */
  constructor({ log, signal }: { log: (line: string) => void; signal?: AbortSignal | undefined }) {
    this.#log = log;
    this.#signal = signal;
  }

  /** Remembers how something is ended. */
  onEnd(end: () => Promise<unknown>): void {
    this.#ends.push(end);
  }

  /**
   * Starts something and waits for it, to its end also where it is to be ended at once: what was not waited for, nobody would end.
   * @param start not called any more once all is to be ended: it may be that nobody waits for it
   * @throws the signal's reason; Error where all was ended, and with it this
   */
  async begin<T>(start: () => Promise<T>, end: (made: T) => Promise<unknown>): Promise<T> {
    this.#signal?.throwIfAborted();
    if (this.#ending) throw new Error(ENDED);
    const beginning = this.#begin(start(), end);
    this.#starting.add(beginning);
    return beginning.finally(() => this.#starting.delete(beginning));
  }

  async #begin<T>(work: Promise<T>, end: (made: T) => Promise<unknown>): Promise<T> {
    const made = await work;
    if (this.#ending) {
      await this.#endOne(() => end(made));
      throw new Error(ENDED);
    }
    this.onEnd(() => end(made));
    this.#signal?.throwIfAborted();
    return made;
  }

  /** Ends everything, after what is still starting. What fails is logged. Can be called twice. */
  async end(): Promise<void> {
    return this.#ending ??= (async () => {
      await Promise.allSettled(this.#starting);
      for (const end of this.#ends.toReversed()) await this.#endOne(end);
    })();
  }

  async #endOne(end: () => Promise<unknown>): Promise<void> {
    try {
      await end();
    } catch (error) {
      this.#log(`while cleaning up: ${(error as Error).message}`);
    }
  }
}
