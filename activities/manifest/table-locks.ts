import type { Client } from 'pg';
import { definitionMoved, lockRefused, sqlState } from './errors.ts';

/** A table by the name it had when it raced: after DROP and CREATE the name is what stays. */
export interface TableName { schema: string; name: string }

/** One that raced, with the statement that locks it. */
export interface LockableTable extends TableName { lock: string }

interface Locker { client: Client; left: Map<string, LockableTable>; since: number }

/** More tables than this share connections, and their locks last a little longer. */
const maxLockers = 8;

/**
 * How long a connection that holds a table may wait for more. Whoever holds that and waits for ours would be in a deadlock with
 * us, of which PostgreSQL ends one side once somebody has waited for deadlock_timeout, a second: it must not be theirs.
 */
const HOLDER_WAITS_MS = 100;

/**
 * For a connection that holds tables, once it was refused something: one wait after the other would find the moment at which
 * PostgreSQL looks for a deadlock. And for one between a look and the reading that rests on it. A millisecond is the least that there is; 0 would be for ever.
 */
export const WAIT_NO_MORE = 'SET LOCAL lock_timeout = 1';

/**
 * Holds ACCESS SHARE on the tables that were rewritten during an earlier attempt, from the moment after the log
 * position until each is read: without it a table that is truncated all the time would never be read in time.
 *
 * That lasts as long as reading the table does. Readers and writers go on meanwhile; but a TRUNCATE or ALTER TABLE waits, and
 * whoever comes after it waits behind it, so that it is let go where somebody does for too long (`give-way.ts`).
 *
 * Not from before the position: a TRUNCATE that waits for our lock has a transaction, which the slot would wait for.
 * And whoever holds the lock must also do the reading: any other connection would queue up behind that TRUNCATE.
 */
export class TableLocks {
  readonly #lockers: Locker[] = [];
  readonly #close: (client: Client) => Promise<void>;
  longestMs = 0;

  private constructor(close: (client: Client) => Promise<void>) { this.#close = close; }

  /** Opens the connections, so that nothing but the lock itself lies between the position and the lock. */
  static async prepare(options: { open: () => Promise<Client>; close: (client: Client) => Promise<void>; tables: readonly LockableTable[] }): Promise<TableLocks> {
    const locks = new TableLocks(options.close);
    const count = Math.min(maxLockers, options.tables.length);
    for (let index = 0; index < count; index += 1) {
      const client = await options.open();
      await client.query('BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY');
      locks.#lockers.push({ client, left: new Map(options.tables.filter((_, position) => position % count === index).map((table) => [keyOf(table), table])), since: 0 });
    }
    return locks;
  }

  /**
   * Locks everything at once and gives the lockers the snapshot that they read under. What is gone or locked by somebody else
   * is left to the reading, which tries again; so is what a connection holds that is let go meanwhile.
   */
  async lockAndImport(importInto: (client: Client) => Promise<void>): Promise<void> {
    await Promise.all(this.#lockers.map((locker) => this.#lockAll(locker, importInto).catch((error: unknown) => {
      if (this.#lockers.includes(locker)) throw error;
    })));
  }

  async #lockAll(locker: Locker, importInto: (client: Client) => Promise<void>): Promise<void> {
    locker.since = performance.now();
    await importInto(locker.client);
    let patience = `SET LOCAL lock_timeout = ${HOLDER_WAITS_MS}`;
    for (const [key, table] of locker.left) {
      try {
        await locker.client.query(`SAVEPOINT held; ${table.lock}; RELEASE SAVEPOINT held; ${patience}`);
      } catch (error) {
        if (lockRefused.has(sqlState(error))) patience = WAIT_NO_MORE;
        await locker.client.query(`ROLLBACK TO SAVEPOINT held; RELEASE SAVEPOINT held; ${patience}`);
        locker.left.delete(key);
        if (!lockRefused.has(sqlState(error)) && !definitionMoved.has(sqlState(error))) throw error;
      }
    }
  }

  /** The connection that holds the lock on a table and must read it, if there is one. */
  lockerOf(table: TableName): Client | undefined {
    return this.#lockers.find((locker) => locker.left.has(keyOf(table)))?.client;
  }

  /** Notes that a table was read, and ends its connection when that was the last one it held. */
  async release(table: TableName): Promise<void> {
    const locker = this.#lockers.find((entry) => entry.left.has(keyOf(table)));
    if (!locker) return;
    locker.left.delete(keyOf(table));
    if (locker.left.size === 0) await this.#end(locker);
  }

  /** The connections that hold tables. */
  get clients(): Client[] { return this.#lockers.map(({ client }) => client); }

  /** What one of them still has to read. */
  tablesOf(client: Client): TableName[] {
    return [...this.#lockers.find((locker) => locker.client === client)?.left.values() ?? []];
  }

  /**
   * Ends a connection at once, also while it locks or reads.
   * @param fromOutside ends its process: by itself that notices only after a while that nobody is there any more
   */
  async letGo(client: Client, fromOutside: () => Promise<unknown>): Promise<void> {
    const locker = this.#lockers.find((entry) => entry.client === client);
    if (locker) await this.#end(locker, fromOutside);
  }

  async releaseAll(): Promise<void> {
    for (let locker = this.#lockers[0]; locker; locker = this.#lockers[0]) await this.#end(locker);
  }

  async #end(locker: Locker, fromOutside?: () => Promise<unknown>): Promise<void> {
    const index = this.#lockers.indexOf(locker);
    if (index < 0) return;
    this.#lockers.splice(index, 1);
    this.longestMs = Math.max(this.longestMs, performance.now() - locker.since);
    await fromOutside?.();
    await this.#close(locker.client);
  }
}

/** One text per table, whatever its name is made of. */
export function keyOf(table: TableName): string {
  return JSON.stringify([table.schema, table.name]);
}
