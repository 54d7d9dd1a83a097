import type { Client } from 'pg';
import { ManifestError, sessionIsOver } from './errors.ts';
import { databaseNumber } from './database-number.ts';

/** What a table is called is not waited for: where the catalog is locked, somebody must make room for others. */
const LOOK_UP_MS = 200;

interface Options {
  /** A connection that nothing else is asked over: nobody makes room while a look waits for something. */
  client: Client;
  open: () => Promise<Client>;
  close: (client: Client) => Promise<void>;
  /** How long nothing may be seen. */
  limitMs: number;
  until: AbortSignal;
}

/**
 * The connection over which is looked who waits. Somebody may end it, as an administrator does with sessions that they do not know,
 * and all others would go on reading with nobody who sees whom they keep waiting.
 */
export class Watcher {
  readonly #options: Options;
  #client: Client | undefined;
  /** Which it is in, once that is known. */
  #database: number | undefined;
  #isSecond = false;
  #failingSince: number | undefined;

  constructor(options: Options) {
    this.#options = options;
    this.#client = options.client;
  }

  /**
   * Looks once. That a look fails is no reason to stop, while the next one may succeed; a connection that was lost is opened anew, once.
   * @throws {ManifestError} `inTheWay` when it was lost again, or nothing was seen for too long
   */
  async look(work: (client: Client, database: number) => Promise<void>): Promise<void> {
    const { limitMs, until } = this.#options;
    const started = performance.now();
    try {
      await work(...await this.#connected());
      this.#failingSince = undefined;
    } catch (error) {
      if (until.aborted) return;
      this.#failingSince ??= started;
      const reason = error instanceof Error ? error.message : String(error);
      if (this.#client && sessionIsOver(error)) {
        if (this.#isSecond) throw blind(`the connection over which it looks was ended twice (${reason}); take the manifest again, and leave its sessions alone`, error);
        this.#client = undefined;
        return this.look(work);
      }
      if (performance.now() - this.#failingSince > limitMs) throw blind(`it could not look for longer than ${limitMs / 1_000} s (manifest.maxBlocking): ${reason}; take the manifest again`, error);
    }
  }

  async #connected(): Promise<[client: Client, database: number]> {
    const { open, close, until } = this.#options;
    if (!this.#client) {
      const another = await open();
      // The reading may be over by now, and what it had open closed.
      if (until.aborted) await close(another);
      this.#client = another;
      this.#isSecond = true;
      this.#database = undefined;
    }
    if (this.#database === undefined) {
      await this.#client.query(`SET lock_timeout = ${LOOK_UP_MS}`);
      this.#database = await databaseNumber(this.#client);
    }
    return [this.#client, this.#database];
  }
}

function blind(why: string, cause: unknown): ManifestError {
  return new ManifestError('inTheWay', `the reading could not see any more who waits for it, and would have given way to nobody: ${why}`, { cause });
}
