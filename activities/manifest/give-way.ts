import type { Client } from 'pg';
import { backendPid } from '../postgres/source.ts';
import { ManifestError } from './errors.ts';
import { restAfterLook } from './pace.ts';
import { pause } from './snapshot.ts';
import { keyOf, type TableLocks, type TableName } from './table-locks.ts';
import { isStillBehind, roleOf, wantedBy, whoWaits, type Waiter, type Wanted } from './waiters.ts';
import { Watcher } from './watcher.ts';

const LOOK_EVERY_MS = 1_000;
/** While somebody to whom we gave way may come upon the next lock of ours. */
const LOOK_AGAIN_MS = 50;
/** So often the reading of one bucket makes room and is tried again; then its table is left alone. */
const MOST_CANCELLATIONS = 3;

/** Tables that are left unread since others waited for them, or since they were not to be read, by {@link keyOf}, and why. */
export type Abandoned = Map<string, string>;

interface Options { workers: readonly Client[]; limitMs: number; abandoned: Abandoned; stopping: AbortController }
/** What one look has done already: of several who wait for one table each is in the list. */
interface Look { cancelled: Set<Client>; counted: Set<number> }
/** A table of the reading, by oid, as it is called there. */
type KnownTable = TableName & { oid: number };

/**
 * Sees to it that nobody waits for our locks for long. ACCESS SHARE lets everybody read and write; but whoever wants to
 * truncate or alter the table waits, all who come after them wait behind, and so a reading could stop production.
 *
 * A table that is kept locked until it is read is let go, and left out. Where the reading of one bucket is in the way, it is
 * cancelled and tried again. For a lock on the system's own catalog there is no such way, nor where a command CONCURRENTLY
 * waits for the transaction that has the snapshot, and others wait behind it: then the reading ends.
 *
 * Longer than anybody waits is the limit and the rest between two looks: a second, or half the limit where looks take long.
 * A transaction that was given way to waits for no further lock of ours.
 */
export class GiveWay {
  readonly #options: Options;
  readonly #stopped = new AbortController();
  readonly #cancels = new Map<Client, { at: number; sent: Promise<boolean> }>();
  /** By oid: what a table is called is not always to be had. */
  readonly #cancellations = new Map<number, number>();
  #tables: ReadonlyMap<number, Wanted> = new Map();
  /** Transactions that were given way to. */
  readonly #favoured = new Set<string>();

  constructor(options: Options) {
    this.#options = options;
  }

  /**
   * Looks from now on, until it is stopped or the reading is.
   * @param watching the connection to look over, and how another one is opened should that be lost
   */
  start(watching: { client: Client; open: () => Promise<Client>; close: (client: Client) => Promise<void> }, locks: TableLocks): void {
    const until = AbortSignal.any([this.#stopped.signal, this.#options.stopping.signal]);
    void this.#watch(new Watcher({ ...watching, limitMs: this.#options.limitMs, until }), locks, until);
  }

  /** Tells what is read, so that nobody need be asked how that is called while the catalog is locked. */
  reads(tables: readonly KnownTable[]): void {
    this.#tables = new Map(tables.map(({ oid, schema, name }) => [oid, { oid, schema, name, isOfSystem: false }]));
  }

  stop(): void { this.#stopped.abort(); }

  /** Whether this table is left out. */
  isAbandoned(table: TableName): boolean { return this.#options.abandoned.has(keyOf(table)); }

  /** Whether what this connection did last was cancelled from here; it is said once. */
  async wasCancelled(client: Client): Promise<boolean> {
    const cancel = this.#cancels.get(client);
    this.#cancels.delete(client);
    return await cancel?.sent ?? false;
  }

  async #watch(watcher: Watcher, locks: TableLocks, until: AbortSignal): Promise<void> {
    const { workers, limitMs, stopping } = this.#options;
    let gaveWayAt = -Infinity;
    while (!until.aborted) {
      let lookMs = 0;
      try {
        await watcher.look(async (client, database) => {
          const started = performance.now();
          const pids = [...workers, ...locks.clients].map(backendPid);
          const waiters = await whoWaits(client, { database, longerThanMs: limitMs, pids, favoured: [...this.#favoured] }).finally(() => { lookMs = performance.now() - started; });
          const look: Look = { cancelled: new Set(), counted: new Set() };
          for (const waiter of waiters) await this.#giveWayTo(waiter, { watcher: client, locks, look, until });
          if (waiters.length > 0) gaveWayAt = performance.now();
        });
      } catch (error) {
        stopping.abort(error);
        return;
      }
      const leastMs = performance.now() - gaveWayAt < LOOK_EVERY_MS ? LOOK_AGAIN_MS : LOOK_EVERY_MS;
      await pause(restAfterLook(lookMs, leastMs, Math.max(LOOK_EVERY_MS, limitMs / 2)), until);
    }
  }

  async #giveWayTo(waiter: Waiter, { watcher, locks, look, until }: { watcher: Client; locks: TableLocks; look: Look; until: AbortSignal }): Promise<void> {
    const { workers, abandoned, stopping } = this.#options;
    const isInTheWay = (client: Client): boolean => waiter.blockedBy.includes(backendPid(client));
    const lockers = locks.clients.filter(isInTheWay);
    const readers = workers.filter((worker) => isInTheWay(worker) && !look.cancelled.has(worker));
    // Another one in the list waited for the same.
    if (lockers.length === 0 && readers.length === 0) return void this.#favoured.add(waiter.transaction);
    const wanted = this.#tables.get(waiter.relation) ?? await wantedBy(watcher, waiter.relation);
    const why = await this.#why(watcher, waiter, `${wanted.schema}.${wanted.name}`);
    // Whoever waits for our transaction to end is not helped by the end of a statement.
    const endsReading = wanted.isOfSystem || (waiter.behind !== null && readers.length > 0);
    // All that was read is lost then: not for somebody who has what they waited for by now.
    if (endsReading && !await isStillBehind(watcher, waiter, [...lockers, ...readers].map(backendPid))) return;
    // What was over in the meantime, as a database is before the next one is read, is in nobody's way.
    if (until.aborted) return;
    this.#favoured.add(waiter.transaction);
    if (endsReading) {
      stopping.abort(new ManifestError('inTheWay', `the reading was in the way: ${why}; take the manifest at a quieter time, or allow more`));
      return;
    }
    for (const locker of lockers) {
      // Before its connection ends, so that whoever reads over it knows why.
      for (const table of locks.tablesOf(locker)) abandoned.set(keyOf(table), why);
      await locks.letGo(locker, () => ifInTheWay(watcher, 'pg_terminate_backend', locker, waiter).catch(() => false));
    }
    for (const worker of readers) {
      // It may not have noticed the last one yet, and a second one would meet what it does next.
      if (performance.now() - (this.#cancels.get(worker)?.at ?? -Infinity) < LOOK_EVERY_MS) continue;
      look.cancelled.add(worker);
      // Noted before it is asked for: the worker may hear of it earlier than we do.
      const sent = ifInTheWay(watcher, 'pg_cancel_backend', worker, waiter).catch(() => false);
      const noted = sent.then((wasSent) => {
        if (wasSent && !look.counted.has(wanted.oid)) this.#count(waiter.relation, wanted, why);
        if (wasSent) look.counted.add(wanted.oid);
        return wasSent;
      });
      this.#cancels.set(worker, { at: performance.now(), sent: noted });
      if (!await noted) this.#cancels.delete(worker);
    }
  }

  #count(relation: number, wanted: Wanted, why: string): void {
    // Of an index, too, before it was known whose that is.
    const before = [...new Set([relation, wanted.oid])].map((oid) => this.#cancellations.get(oid) ?? 0);
    const times = before.reduce((sum, number) => sum + number, 1);
    this.#cancellations.delete(relation);
    this.#cancellations.set(wanted.oid, times);
    if (times >= MOST_CANCELLATIONS) this.#options.abandoned.set(keyOf(wanted), why);
  }

  async #why(watcher: Client, waiter: Waiter, name: string): Promise<string> {
    const role = await roleOf(watcher, waiter);
    const again = this.#favoured.has(waiter.transaction) ? ', having waited before,' : '';
    const through = waiter.behind === null ? 'which the reading had locked' : `behind process ${waiter.behind}, whose command CONCURRENTLY waited for a transaction of the reading to end`;
    return `${role === null ? 'a session' : `role ${role}`} (process ${waiter.pid})${again} waited for ${waiter.seconds.toFixed(1)} s for ${name}${waiter.behind === null ? ', ' : ' '}${through}; the limit is ${this.#options.limitMs / 1_000} s (manifest.maxBlocking)`;
  }
}

/** Signals one of ours, if it is in the way still: it may be at something else by now. Whether it was. */
async function ifInTheWay(watcher: Client, signal: 'pg_cancel_backend' | 'pg_terminate_backend', client: Client, { pid, behind }: Waiter): Promise<boolean> {
  const { rows: [row] } = await watcher.query<{ sent: boolean }>(`SELECT ${signal}($1) AS sent WHERE $1 = ANY (pg_blocking_pids($2))`, [backendPid(client), behind ?? pid]);
  return row?.sent ?? false;
}
