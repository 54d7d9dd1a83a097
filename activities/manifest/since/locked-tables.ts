import { setTimeout as sleep } from 'node:timers/promises';
import { LockedAtSource } from './of-source.ts';

/** How often in a row a table is asked for while somebody has it locked: a migration takes seconds, and one that takes longer is not waited for. */
const TRIES = 5;

/** A table in the queue; `isGivenUp`: the source is not to be asked for it any more. */
export interface Lockable { isGivenUp?: boolean }

/** `put off`: it was not asked for, since another part of the table had just been refused. */
export type Before = 'nothing' | 'put off' | 'refused';

/**
 * Tables that somebody has locked at the source. What is left of one goes back in the queue, behind all others. It is asked for again
 * a few times, with rests in between, and is given up then.
 */
export class LockedTables {
  readonly #restMs: number;
  readonly #signal: AbortSignal;
  readonly #refused = new Map<Lockable, { times: number; until: number }>();

  /** @param restMs between two tries of a table: whoever wants it waits behind us for as long as we wait for the lock */
  constructor(restMs: number, signal: AbortSignal) {
    this.#restMs = restMs;
    this.#signal = signal;
  }

  /** Does a part of the work on a table; else says what to do `later` again with. */
  async work<T>(table: Lockable, before: Before, part: () => Promise<T>): Promise<{ done: T } | { later: Before }> {
    const refused = this.#refused.get(table);
    if (refused && !table.isGivenUp) {
      if (before === 'nothing') return { later: 'put off' };
      await sleep(Math.max(0, refused.until - performance.now()), undefined, { signal: this.#signal });
    }
    // Parts that are refused at the same time are one try.
    const times = (this.#refused.get(table)?.times ?? 0) + 1;
    try {
      const done = await part();
      // It has come to what it was refused.
      if (before === 'refused') this.#refused.delete(table);
      return { done };
    } catch (error) {
      if (!(error instanceof LockedAtSource)) throw error;
      this.#refused.set(table, { times, until: performance.now() + this.#restMs });
      if (times >= TRIES) table.isGivenUp = true;
      return { later: 'refused' };
    }
  }
}
