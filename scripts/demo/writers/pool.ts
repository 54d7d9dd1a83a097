import { Client, DatabaseError } from 'pg';
import type { ConnectionConfig } from '../production.ts';
import { writerKinds } from './kinds.ts';
import type { WriterContext } from './writer-kind.ts';

/** Plain data: what a process of writers is told. */
export interface WriterSettings {
  config: ConnectionConfig;
  /** How many writers, each with a connection of its own. */
  count: number;
  seed: number;
  /** Names from `writerKindNames`; default all. */
  kinds?: readonly string[];
  /** Upper bound over all writers together; default none. */
  opsPerSecond?: number;
}

/** What was done, by kind. An operation whose end a lost connection hid is in neither. */
export interface WriterCounts {
  done: Record<string, number>;
  retried: Record<string, number>;
  total: number;
}

/** Writers in this process. */
export interface WriterPool {
  counts: () => WriterCounts;
  /** Lets each writer end its operation; rejects with the first unexpected error. */
  stop: () => Promise<WriterCounts>;
  /** Settles when the writers end: rejects at the first unexpected error. */
  ended: Promise<void>;
}

/**
 * What a busy database answers and a client repeats: serialization failure, deadlock, lock not available, lock time-out,
 * rows that another writer deleted meanwhile, names or definitions that moved (concurrent DDL), and a large object that is gone.
 */
const retried = new Set(['40001', '40P01', '55P03', '23503', '23505', '42P07', '42P01', '42704', '42701', '42703', 'XX000 tuple concurrently updated']);

/** Starts the writers; rejects if one cannot connect or a kind is unknown. */
export async function startWriterPool(settings: WriterSettings): Promise<WriterPool> {
  const names = settings.kinds ?? Object.keys(writerKinds);
  const kinds = names.map((name) => {
    const kind = writerKinds[name];
    if (!kind) throw new Error(`there is no kind of writing "${name}"; known are ${Object.keys(writerKinds).join(', ')}`);
    return { name, ...kind };
  });
  const counts: WriterCounts = { done: Object.fromEntries(names.map((name) => [name, 0])), retried: {}, total: 0 };
  const weights = kinds.reduce((sum, kind) => sum + kind.weight, 0);
  const session = `${process.pid.toString(36)}${Date.now().toString(36)}`;
  const stopping = new AbortController();
  const perWriterMs = settings.opsPerSecond ? (1000 * settings.count) / settings.opsPerSecond : 0;

  const work = async (client: Client, writer: number) => {
    const random = mulberry32(Math.trunc(settings.seed) * 1009 + writer);
    const below = (limit: number) => Math.floor(random() * limit);
    const context: WriterContext = { client, writer, session, random, below, wait: pause };
    let due = performance.now() + random() * perWriterMs;
    while (!stopping.signal.aborted) {
      if (perWriterMs > 0) {
        const early = due - performance.now();
        if (early > 0) await pause(early, stopping.signal);
        // A writer that fell behind by more than a second does not make up for it: that would be a burst.
        due = Math.max(due + perWriterMs, performance.now() - 1000);
        if (stopping.signal.aborted) break;
      }
      let drawn = random() * weights;
      const kind = kinds.find((candidate) => (drawn -= candidate.weight) < 0) ?? kinds[0];
      if (!kind) throw new Error('no kind of writing was chosen');
      try {
        await kind.act(context);
        counts.done[kind.name] = (counts.done[kind.name] ?? 0) + 1;
        counts.total += 1;
      } catch (error) {
        if (!isRetried(error)) throw new Error(`the writer's ${kind.name} failed`, { cause: error });
        await client.query('ROLLBACK');
        counts.retried[kind.name] = (counts.retried[kind.name] ?? 0) + 1;
      }
    }
  };
  const clients = await Promise.all(Array.from({ length: settings.count }, async () => await connect(settings.config)));
  const works = clients.map(async (client, writer) => {
    try {
      await work(client, writer);
      await client.query(`DROP TABLE IF EXISTS ops.${client.escapeIdentifier(`Scratch ${session} ${writer}`)}`);
    } catch (error) {
      stopping.abort();
      throw error;
    } finally {
      await client.end().catch(() => {});
    }
  });
  const ended = Promise.allSettled(works).then((results) => {
    for (const result of results) if (result.status === 'rejected') throw result.reason;
  });
  ended.catch(() => {});
  return {
    counts: () => structuredClone(counts),
    ended,
    stop: async () => {
      stopping.abort();
      await ended;
      return structuredClone(counts);
    },
  };
}

async function connect(config: ConnectionConfig): Promise<Client> {
  const client = new Client({ ...config, application_name: 'shop-writer' });
  // Without a listener a lost connection would end the process; the query under way rejects with the same error.
  client.on('error', () => {});
  await client.connect();
  return client;
}

function isRetried(error: unknown): boolean {
  return error instanceof DatabaseError && (retried.has(error.code ?? '') || retried.has(`${error.code} ${error.message}`));
}

/** Waits; ends early without an error when the signal fires. */
async function pause(ms: number, signal?: AbortSignal): Promise<void> {
  await new Promise<void>((done) => {
    const finish = () => {
      clearTimeout(timer);
      signal?.removeEventListener('abort', finish);
      done();
    };
    const timer = setTimeout(finish, ms);
    signal?.addEventListener('abort', finish, { once: true });
  });
}

/** A small seeded generator of numbers in [0,1); by Tommy Ettinger, public domain. */
export function mulberry32(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4294967296;
  };
}
