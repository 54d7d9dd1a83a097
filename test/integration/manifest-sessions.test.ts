import { expect, test } from 'vitest';
import type { Client } from 'pg';
import { Sessions } from '../../activities/manifest/session.ts';
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
