import { setTimeout as sleep } from 'node:timers/promises';
import type { Client } from 'pg';
import { expect, test } from 'vitest';
import { positionsBefore } from '../../activities/manifest/sequence-watch.ts';

/** A server with one sequence, whose log and sequence go one further with each reading: at reading n the log ends at n. */
function busyServer(): { client: Client; readings: () => number } {
  let readings = 0;
  const query = async (sql: string): Promise<unknown> => {
    if (sql.includes('pg_current_wal_insert_lsn')) return { rows: [{ lsn: `0/${readings.toString(16).toUpperCase()}` }] };
    if (sql.includes('FROM pg_sequence')) { readings += 1; return { rows: [{ oid: 1, schema: 's', name: 'q', increment: '1', cycles: false, filenode: '10', persistence: 'p' }] }; }
    return [{ rows: [] }, { rows: [{ last_value: String(readings), is_called: false, filenode: '10' }] }];
  };
  return { client: { query } as unknown as Client, readings: () => readings };
}

test.each([
  ['the newest reading before it', 7, 7n],
  ['the first reading, where it lies before all later ones', 1, 1n],
])('a position is preceded by %s, however many came after it', async (_name, position, next) => {
  const server = busyServer();
  const { before } = await positionsBefore(server.client, new AbortController().signal, async () => {
    while (server.readings() < 9) await sleep(20);
    return { lsn: `0/${position}` };
  });
  expect(before.get(1)?.next).toBe(next);
});
