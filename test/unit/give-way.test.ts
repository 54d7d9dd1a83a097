import { setTimeout as sleep } from 'node:timers/promises';
import type { Client } from 'pg';
import { expect, test } from 'vitest';
import { GiveWay } from '../../activities/manifest/give-way.ts';
import type { TableLocks } from '../../activities/manifest/table-locks.ts';

const WORKERS = [7, 8, 9];
const TABLE = { schema: 'public', name: 'large' };

/** Looks again and again at a server on which somebody always waits for all workers, and what it asks there is answered so. */
async function watch({ stillInTheWay, asked }: { stillInTheWay: boolean; asked: string[] }): Promise<{ way: GiveWay; workers: Client[] }> {
  const answer = (text: string): object[] => {
    if (text.includes('pg_lock_status')) return [{ relation: 20_000, pid: 20, transaction: '3/4', seconds: 6, behind: null, blockedBy: WORKERS }];
    if (text.includes('pg_cancel_backend')) return stillInTheWay ? [{ sent: true }] : [];
    if (text.includes('FROM pg_class') || text.includes('JOIN pg_class')) return [{ oid: 20_000, name: TABLE.name, namespace: '2200' }];
    return text.includes('pg_namespace') ? [{ schema: TABLE.schema }] : [{ oid: 5 }];
  };
  const query = async (asking: string | { text: string }): Promise<{ rows: object[] }> => {
    const text = typeof asking === 'string' ? asking : asking.text;
    asked.push(text);
    return { rows: answer(text) };
  };
  const workers = WORKERS.map((processID) => ({ processID }) as unknown as Client);
  const way = new GiveWay({ workers, limitMs: 1_000, abandoned: new Map(), stopping: new AbortController() });
  way.start({ query } as unknown as Client, { clients: [] } as unknown as TableLocks);
  await sleep(600);
  way.stop();
  return { way, workers };
}
const numberOf = (word: string, asked: readonly string[]): number => asked.filter((text) => text.includes(word)).length;

test('what was at something else by the time was not cancelled, however often, and its table is not left out', async () => {
  const asked: string[] = [];
  const { way, workers } = await watch({ stillInTheWay: false, asked });
  expect(numberOf('pg_cancel_backend', asked)).toBeGreaterThan(3);
  for (const worker of workers) expect(await way.wasCancelled(worker)).toBe(false);
  expect(way.isAbandoned(TABLE)).toBe(false);
});

test('several that read one table are cancelled once each, which is one time: a second one would meet what they do next', async () => {
  const asked: string[] = [];
  const { way, workers } = await watch({ stillInTheWay: true, asked });
  expect(numberOf('pg_lock_status', asked)).toBeGreaterThan(3);
  expect(numberOf('pg_cancel_backend', asked)).toBe(WORKERS.length);
  for (const worker of workers) {
    expect(await way.wasCancelled(worker)).toBe(true);
    expect(await way.wasCancelled(worker)).toBe(false);
  }
  expect(way.isAbandoned(TABLE)).toBe(false);
});
