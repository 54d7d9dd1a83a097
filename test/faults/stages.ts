/**
 * What the lanes of a suite work in, one for each, begun when its lane first asks for it. All are ended together, also when one of them
 * could not be started: from then on none is begun, whatever becomes of the cases of the others.
 */
export class Stages<S extends { stop(): Promise<unknown> }> {
  readonly #start: (signal: AbortSignal) => Promise<S>;
  readonly #ending = new AbortController();
  readonly #signal: AbortSignal;
  /** As they are begun: one that is still starting when all ends has a database server already. */
  readonly #begun = new Map<number, Promise<S>>();

  /**
   * @param start aborted by its signal, it ends what it has started so far, and rejects
   * @param signal aborted when no more is to be begun
   */
  constructor(start: (signal: AbortSignal) => Promise<S>, signal?: AbortSignal) {
    this.#start = start;
    this.#signal = AbortSignal.any([this.#ending.signal, ...(signal ? [signal] : [])]);
  }

  /** @throws the reason why no more is begun */
  async of(lane: number): Promise<S> {
    this.#signal.throwIfAborted();
    const stage = this.#begun.get(lane) ?? this.#start(this.#signal);
    this.#begun.set(lane, stage);
    return stage;
  }

  /** Ends that of a lane, which gets another one when it asks again. */
  async renew(lane: number): Promise<void> {
    await (await this.#begun.get(lane))?.stop();
    this.#begun.delete(lane);
  }

  /** Ends all of them, those that are still starting as soon as they are up. */
  async end(): Promise<void> {
    this.#ending.abort(new Error('all stages are ended'));
    await Promise.all([...this.#begun.values()].map((stage) => stage.then((one) => one.stop(), () => undefined)));
  }
}
