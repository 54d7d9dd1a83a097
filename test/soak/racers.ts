import { setTimeout as sleep } from 'node:timers/promises';
import { Client, DatabaseError } from 'pg';
import { parseLsn } from '../../activities/postgres/lsn.ts';
import type { ConnectionConfig } from '../../scripts/demo/production.ts';
import { writerKinds } from '../../scripts/demo/writers/kinds.ts';
import type { WriterContext } from '../../scripts/demo/writers/writer-kind.ts';
import { mulberry32 } from '../../scripts/demo/writers/pool.ts';

/** What can put other files, other definitions or half-done transactions in the way of a manifest. */
export const raceKinds = ['truncate', 'rewritingAlter', 'refresh', 'drop', 'savepoints', 'preparedTransaction', 'sequence', 'restartedSequence'] as const;
/** One of {@link raceKinds}. */
export type RaceKind = (typeof raceKinds)[number];

/** One operation of a racer that was done: positions and times around it. Everything it wrote lies between the positions. */
export interface Race { kind: RaceKind; fromLsn: bigint; toLsn: bigint; startedAtMs: number; endedAtMs: number }

/** They race until they are stopped: whoever started them has to. */
export interface Racers {
  /** Everything done so far. */
  log: Race[];
  stop: () => Promise<void>;
}

/** Tables come and go in the transaction that counts them, so a manifest's row counts say how many there were at its position. */
export const raceSchema = `
CREATE SCHEMA soak;
CREATE TABLE soak.made (at timestamptz NOT NULL DEFAULT clock_timestamp());
CREATE TABLE soak.dropped (at timestamptz NOT NULL DEFAULT clock_timestamp());
CREATE TABLE soak.emptied (id bigserial);
CREATE SEQUENCE soak.alone START 3;`;

/** What a busy database answers and a client repeats; the operation does not count. */
const retried = new Set(['40001', '40P01', '55P03', '42P01', '23503', '23505']);

const acts: Record<RaceKind, (context: WriterContext, round: number) => Promise<void>> = {
  truncate: async (context) => {
    await act('stage', context);
    await act('truncate', context);
  },
  rewritingAlter: (context) => act('rewritingAlter', context),
  refresh: (context) => act('refresh', context),
  drop: async ({ client, wait, below }, round) => {
    const name = `soak.comes_and_goes_${round}`;
    await client.query(`BEGIN; CREATE TABLE ${name} AS SELECT i FROM generate_series(1, 50) i; INSERT INTO soak.made DEFAULT VALUES; COMMIT`);
    await wait(below(60));
    await client.query(`BEGIN; DROP TABLE ${name}; INSERT INTO soak.dropped DEFAULT VALUES; COMMIT`);
  },
  savepoints: (context) => act('savepointRollback', context),
  preparedTransaction: (context, round) => act(round % 3 === 0 ? 'twoPhaseRollback' : 'twoPhaseCommit', context),
  sequence: (context) => act('advanceSequence', context),
  // None of them has a table with rows: only their own position can be compared.
  restartedSequence: async ({ client }, round) => {
    await client.query(`SELECT nextval('soak.alone'), nextval('soak.emptied_id_seq')`);
    await client.query([
      'TRUNCATE soak.emptied RESTART IDENTITY', 'ALTER SEQUENCE soak.alone RESTART', 'DROP SEQUENCE IF EXISTS soak.fresh; CREATE SEQUENCE soak.fresh', `SELECT setval('soak.alone', 1)`,
    ][round % 4] ?? '');
  },
};

/** Starts one racer of each kind, each with a connection of its own, until `stop`; that rejects with what a racer did not expect. */
export async function startRacers({ config, seed, pauseMs }: { config: ConnectionConfig; seed: number; pauseMs: number }): Promise<Racers> {
  const log: Race[] = [];
  const stopping = new AbortController();
  const clients = await Promise.all(raceKinds.map(async () => {
    const client = new Client({ ...config, application_name: 'soak-racer' });
    client.on('error', () => undefined);
    await client.connect();
    return client;
  }));
  const loops = raceKinds.map(async (kind, index) => {
    const client = clients[index] as Client;
    const random = mulberry32(seed * 31 + index);
    const below = (limit: number) => Math.floor(random() * limit);
    const context: WriterContext = { client, writer: 900 + index, session: `soak${process.pid}`, random, below, wait: (ms) => sleep(ms) };
    for (let round = 0; !stopping.signal.aborted; round += 1) {
      const fromLsn = await position(client);
      const startedAtMs = Date.now();
      try {
        await acts[kind](context, round);
        const toLsn = await position(client);
        log.push({ kind, fromLsn, toLsn, startedAtMs, endedAtMs: Date.now() });
      } catch (error) {
        if (!(error instanceof DatabaseError && retried.has(error.code ?? ''))) throw new Error(`the racer "${kind}" failed`, { cause: error });
        await client.query('ROLLBACK');
      }
      await sleep(below(2 * pauseMs));
    }
  });
  const ended = Promise.allSettled(loops).then(async (results) => {
    await Promise.all(clients.map((client) => client.end().catch(() => undefined)));
    for (const result of results) if (result.status === 'rejected') throw result.reason;
  });
  ended.catch(() => undefined);
  return { log, stop: async () => { stopping.abort(); await ended; } };
}

async function act(name: string, context: WriterContext): Promise<void> {
  const kind = writerKinds[name];
  if (!kind) throw new Error(`the demo has no kind of writing "${name}"`);
  await kind.act(context);
}

async function position(client: Client): Promise<bigint> {
  const { rows: [row] } = await client.query<{ lsn: string }>('SELECT pg_current_wal_insert_lsn()::text AS lsn');
  return parseLsn(row?.lsn ?? '');
}
