/** One piece of work for any of the connections; it may add more pieces. */
export type Task<Worker> = (worker: Worker) => Promise<unknown>;

/** Pieces of work shared by several workers, first in first out; ends when all is done or one piece fails. */
export class WorkQueue<Worker> {
  /** Last in, first out. */
  readonly #urgent: Task<Worker>[] = [];
  readonly #tasks: (Task<Worker> | undefined)[] = [];
  #next = 0;
  readonly #waiting: (() => void)[] = [];
  #busy = 0;
  #failed: { error: unknown } | undefined;

  /** Adds pieces behind all others; there may be more of them than a call takes arguments. */
  add(tasks: Iterable<Task<Worker>>): void {
    for (const task of tasks) this.#tasks.push(task);
    this.#wake();
  }

  /**
   * Puts pieces that follow each other before all others, so that what was begun is finished first. The next one is made
   * when one is taken, however many there are.
   */
  addSeriesFirst(tasks: Iterable<Task<Worker>>): void {
    const left = tasks[Symbol.iterator]();
    const addNext = (): void => {
      const { value: task, done } = left.next();
      if (done) return;
      this.#urgent.push((worker) => { addNext(); return task(worker); });
      this.#wake();
    };
    addNext();
  }

  /** Runs everything; rejects with the first error after every worker has stopped. */
  async run(workers: readonly Worker[]): Promise<void> {
    await Promise.all(workers.map((worker) => this.#work(worker)));
    if (this.#failed) throw this.#failed.error;
  }

  async #work(worker: Worker): Promise<void> {
    while (!this.#failed) {
      const task = this.#take();
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

  #take(): Task<Worker> | undefined {
    const urgent = this.#urgent.pop();
    if (urgent || this.#next === this.#tasks.length) return urgent;
    const task = this.#tasks[this.#next];
    this.#tasks[this.#next] = undefined;
    this.#next += 1;
    return task;
  }

  #wake(): void {
    for (const resume of this.#waiting.splice(0)) resume();
  }
}
