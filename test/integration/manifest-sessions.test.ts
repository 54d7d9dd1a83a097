import { expect, test } from 'vitest';
import type { Client } from 'pg';
import { Sessions } from '../../activities/manifest/session.ts';
import { exportSnapshot } from '../../activities/manifest/snapshot.ts';
import { startCluster } from '../support/postgres.ts';

const NAMES = ['tcp_keepalives_idle', 'tcp_keepalives_interval', 'tcp_keepalives_count', 'tcp_user_timeout'];
const shown = async (client: Client): Promise<string[]> => {
  const values: string[] = [];
  for (const name of NAMES) values.push(Object.values((await client.query<Record<string, string>>(`SHOW ${name}`)).rows[0] ?? {})[0] ?? '');
  return values;
};

test.each([true, false])('a server notices within half a minute that the host of a reading is gone; a socket of this host needs none of it (over TCP: %s)', async (tcp) => {
  const server = await startCluster({ logical: true, tcp });
  const sessions = new Sessions({ connect: (database) => server.config(database), applicationName: 'manifest-test', limits: { statementTimeoutMs: 60_000, lockTimeoutMs: 500 }, signal: new AbortController().signal });
  try {
    const expected = tcp ? ['10', '5', '3', '25000'] : ['0', '0', '0', '0'];
    expect(await shown(await sessions.open('postgres'))).toEqual(expected);
    expect(await shown(await sessions.openReplication('postgres', 1_000))).toEqual(expected);
  } finally {
    await sessions.closeAll();
    await server.stop();
  }
});

test('a server ends within seconds what a reading still asks of it whose process is gone, and its slot; by itself it would go on to the end', async () => {
  const server = await startCluster({ logical: true, tcp: true });
  const gone = new AbortController();
  const { signal } = gone;
  const sessions = new Sessions({ connect: (database) => server.config(database), applicationName: 'reading', limits: { statementTimeoutMs: 600_000, lockTimeoutMs: 600_000 }, signal });
  const left = async () => (await server.withClient('postgres', (client) => client.query<{ found: string }>(
    `SELECT split_part(query, ' ', 1) || ': ' || wait_event AS found FROM pg_stat_activity WHERE application_name = 'reading' UNION ALL SELECT 'slot' FROM pg_replication_slots ORDER BY 1`))).rows.map(({ found }) => found);
  try {
    await server.withClient('postgres', async (other) => {
      await other.query('BEGIN; SELECT pg_current_xact_id()');
      const asked = Promise.allSettled([
        sessions.open('postgres').then((client) => client.query('SELECT pg_sleep(600)')),
        exportSnapshot(sessions, { database: 'postgres', waitMs: 600_000, signal, onSlot: () => undefined }),
      ]);
      await expect.poll(left).toEqual(['CREATE_REPLICATION_SLOT: transactionid', 'SELECT: PgSleep', 'slot']);
      // Closes the sockets without a word, as the system does after kill -9.
      gone.abort();
      await asked;
      await expect.poll(left, { timeout: 30_000 }).toEqual([]);
    });
  } finally {
    await sessions.closeAll();
    await server.stop();
  }
});
