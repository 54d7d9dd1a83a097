import type { Client } from 'pg';
import { backendPid } from '../postgres/source.ts';
import { ManifestError } from './errors.ts';
import { restAfterLook } from './pace.ts';
import { pause } from './snapshot.ts';
import { keyOf, type TableLocks, type TableName } from './table-locks.ts';
import { databaseOf, roleOf, wantedBy, whoWaits, type Waiter } from './waiters.ts';

/** Longer than anybody is made to wait by us is `limitMs` and this. */
const LOOK_EVERY_MS = 1_000;
/** So often the reading of one bucket makes room and is tried again; then its table is left alone. */
const MOST_CANCELLATIONS = 3;

/** Tables that are left unread since others waited for them, by {@link keyOf}, and why. */
export type Abandoned = Map<string, string>;

/**
 * Sees to it that nobody waits for our locks for long. ACCESS SHARE lets everybody read and write; but whoever wants to
 * truncate or alter the table waits, all who come after them wait behind, and so a reading could stop production.
 *
 * A table that is kept locked until it is read is let go, and left out. Where the reading of one bucket is in the way, it is
 * cancelled and tried again. For a lock on the system's own catalog there is no such way: then the reading ends.
 */
export class GiveWay {
  readonly #options: { control: Client; workers: readonly Client[]; limitMs: number; abandoned: Abandoned; stopping: AbortController };
  readonly #stopped = new AbortController();
  readonly #cancelled = new Set<Client>();
  readonly #cancellations = new Map<string, number>();

  constructor(options: { control: Client; workers: readonly Client[]; limitMs: number; abandoned: Abandoned; stopping: AbortController }) {
    this.#options = options;
  }

  /** Looks from now on, until it is stopped or the reading is. */
  start(locks: TableLocks): void {
    void this.#watch(locks, AbortSignal.any([this.#stopped.signal, this.#options.stopping.signal]));
  }

  stop(): void { this.#stopped.abort(); }

  /** Whether this table is left out. */
  isAbandoned(table: TableName): boolean { return this.#options.abandoned.has(keyOf(table)); }

  /** Whether what this connection did last was cancelled from here; it is said once. */
  wasCancelled(client: Client): boolean { return this.#cancelled.delete(client); }

  async #watch(locks: TableLocks, until: AbortSignal): Promise<void> {
    const { control, workers, limitMs } = this.#options;
    let database: number | undefined;
    while (!until.aborted) {
      const started = performance.now();
      try {
        database ??= await databaseOf(control);
        const pids = [...workers, ...locks.clients].map(backendPid);
        for (const waiter of await whoWaits(control, { database, longerThanMs: limitMs, pids })) await this.#giveWayTo(waiter, locks);
      } catch { /* A failed look is no reason to stop: the reading notices a lost server by itself. */ }
      await pause(restAfterLook(performance.now() - started, LOOK_EVERY_MS), until);
    }
  }

  async #giveWayTo(waiter: Waiter, locks: TableLocks): Promise<void> {
    const { control, workers, limitMs, abandoned, stopping } = this.#options;
    const wanted = await wantedBy(control, waiter);
    if (!wanted) return;
    const role = await roleOf(control, waiter);
    const why = `${role === null ? 'a session' : `role ${role}`} (process ${waiter.pid}) waited for ${waiter.seconds.toFixed(1)} s for ${wanted.schema}.${wanted.name}, which the reading had locked; the limit is ${limitMs / 1_000} s (manifest.maxBlocking)`;
    if (wanted.isOfSystem) {
      stopping.abort(new ManifestError('inTheWay', `the reading was in the way: ${why}; take the manifest at a quieter time, or allow more`));
      return;
    }
    const isInTheWay = (client: Client): boolean => waiter.blockedBy.includes(backendPid(client));
    for (const locker of locks.clients.filter(isInTheWay)) {
      // Before its connection ends, so that whoever reads over it knows why.
      for (const table of locks.tablesOf(locker)) abandoned.set(keyOf(table), why);
      await locks.letGo(locker);
    }
    for (const worker of workers.filter(isInTheWay)) {
      const key = keyOf(wanted);
      const times = (this.#cancellations.get(key) ?? 0) + 1;
      this.#cancellations.set(key, times);
      if (times >= MOST_CANCELLATIONS) abandoned.set(key, why);
      this.#cancelled.add(worker);
      // Asked once more: it may be at something else by now.
      await control.query('SELECT pg_cancel_backend($1) WHERE $1 = ANY (pg_blocking_pids($2))', [backendPid(worker), waiter.pid]);
    }
  }
}
