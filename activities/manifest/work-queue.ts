/** One piece of work for any of the connections; it may add more pieces. */
export type Task<Worker> = (worker: Worker) => Promise<void>;

/** Pieces of work shared by several workers, first in first out; ends when all is done or one piece fails. */
export class WorkQueue<Worker> {
  readonly #tasks: Task<Worker>[] = [];
  readonly #waiting: (() => void)[] = [];
  #busy = 0;
  #failed: { error: unknown } | undefined;

  add(...tasks: Task<Worker>[]): void {
    this.#tasks.push(...tasks);
    this.#wake();
  }

  /** Puts pieces before all others: what holds back other people is finished first. */
  addFirst(...tasks: Task<Worker>[]): void {
    this.#tasks.unshift(...tasks);
    this.#wake();
  }

  /** Runs everything; rejects with the first error after every worker has stopped. */
  async run(workers: readonly Worker[]): Promise<void> {
    await Promise.all(workers.map((worker) => this.#work(worker)));
    if (this.#failed) throw this.#failed.error;
  }

  async #work(worker: Worker): Promise<void> {
    while (!this.#failed) {
      const task = this.#tasks.shift();
      if (!task) {
        if (this.#busy === 0) break;
        // Whoever is busy may add pieces yet.
        await new Promise<void>((resolve) => this.#waiting.push(resolve));
        continue;
      }
      this.#busy += 1;
      try {
        await task(worker);
      } catch (error) {
        this.#failed ??= { error };
      } finally {
        this.#busy -= 1;
        this.#wake();
      }
    }
    this.#wake();
  }

  #wake(): void {
    for (const resume of this.#waiting.splice(0)) resume();
  }
}
