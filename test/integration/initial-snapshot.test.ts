import { Client } from 'pg';
import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import { Sessions } from '../../activities/manifest/session.ts';
import { exportSnapshot } from '../../activities/manifest/snapshot.ts';
import { PATIENT } from '../support/patience.ts';
import { startCluster, type Server } from '../support/postgres.ts';

/** A snapshot has room for one transaction of each connection, each worker and each prepared transaction: here, for fewer than these. */
const SAVEPOINTS = 400;

let server: Server;
const writers: Client[] = [];

beforeAll(async () => {
  server = await startCluster({ logical: true, settings: { max_connections: 30 } });
  await server.withClient('postgres', (client) => client.query('CREATE TABLE items (id int)'));
});
afterAll(async () => {
  for (const writer of writers) await writer.end();
  await server.stop();
});

/** A transaction that stays open, and has written as often after a savepoint; its id. */
async function begin(savepoints: number): Promise<{ xid: string; commit: () => Promise<unknown> }> {
  const writer = new Client(server.config());
  writers.push(writer);
  await writer.connect();
  await writer.query('BEGIN');
  const { rows: [row] } = await writer.query<{ xid: string }>('SELECT pg_current_xact_id()::xid::text AS xid');
  await writer.query(`DO $$ BEGIN FOR i IN 1..${savepoints} LOOP BEGIN INSERT INTO items VALUES (i); EXCEPTION WHEN division_by_zero THEN NULL; END; END LOOP; END $$`);
  return { xid: row?.xid ?? '', commit: () => writer.query('COMMIT') };
}

test('a log position is asked for again where more savepoints are open than a snapshot has room for, and is there once they are fewer', async () => {
  const sessions = new Sessions({ connect: (database) => server.config(database), applicationName: 'manifest-test', limits: { statementTimeoutMs: 600_000, lockTimeoutMs: 500 }, signal: new AbortController().signal });
  const slots: string[] = [];
  try {
    // The server fixes a position in steps; after each it waits for what was open then.
    const first = await begin(0);
    const exporting = exportSnapshot(sessions, { database: 'postgres', waitMs: 600_000, signal: new AbortController().signal, onSlot: (name) => slots.push(name) });
    const isWaitedFor = (xid: string) => server.withClient('postgres', async (client) => (
      await client.query(`SELECT FROM pg_locks WHERE locktype = 'transactionid' AND transactionid = $1::xid AND NOT granted`, [xid])).rowCount === 1);
    const waitsFor = ({ xid }: { xid: string }) => Promise.race([exporting, vi.waitUntil(() => isWaitedFor(xid), PATIENT)]);
    await waitsFor(first);
    const second = await begin(0);
    await first.commit();
    await waitsFor(second);
    const crowd = await begin(SAVEPOINTS);
    // One that is committed after it: what is open before that is in the snapshot.
    await server.withClient('postgres', (client) => client.query('INSERT INTO items VALUES (0)'));
    await second.commit();
    await waitsFor(crowd);
    expect(slots).toHaveLength(2);
    expect(server.log()).toContain('initial slot snapshot too large');
    await crowd.commit();
    const { lsn, snapshot } = await exporting;
    expect(lsn).toMatch(/^[0-9A-F]+\/[0-9A-F]+$/);
    const reader = await sessions.open('postgres');
    await reader.query('BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY');
    await reader.query(`SET TRANSACTION SNAPSHOT '${snapshot}'`);
    expect((await reader.query('SELECT FROM public.items')).rowCount).toBe(SAVEPOINTS + 1);
  } finally {
    await sessions.closeAll();
  }
});
