import type { Client } from 'pg';
import { afterEach, expect, test, vi } from 'vitest';
import { readTables } from '../../activities/manifest/read-tables.ts';
import type { Table } from '../../activities/manifest/tables.ts';

afterEach(() => { vi.restoreAllMocks(); });

const tableOf = (name: string): Table => ({
  oid: 1, schema: 's', name, label: `s.${name}`, from: name, lock: `LOCK ${name}`, relfilenode: '1', columns: [], expression: '0', typeCondition: undefined, method: 'm', portable: true, key: null, owned: [], isHeap: true, estimatedPages: 1,
});

/** Reading it takes a while; whoever asks for a table is refused as often as `refusals` says. */
function reading({ readMs, refusals, tables = ['large', 'small'], code = '55P03', pages = 1, lockerAsks }: {
  readMs: number; refusals: Record<string, number>; tables?: string[]; code?: string; pages?: number;
  /** Told what is asked over the one connection that holds all tables; without it none are held. */
  lockerAsks?: (text: string) => void;
}) {
  let clock = 0;
  vi.spyOn(performance, 'now').mockImplementation(() => clock);
  const query = (text: string): Promise<unknown> => {
    const name = /LOCK (\w+)/.exec(text)?.[1];
    if (name === undefined) return Promise.resolve([]);
    const isReading = text.includes('count(*)');
    if ((refusals[name] ?? 0) > 0) {
      refusals[name] = (refusals[name] ?? 0) - 1;
      clock += 500;
      return Promise.reject(Object.assign(new Error(`${name} is locked`), { code }));
    }
    if (isReading) clock += readMs;
    const rows = (row: object) => ({ rows: [row] });
    return Promise.resolve([{}, {}, ...(isReading ? [{ fields: [] }, rows({ n: '1', f: '5' })] : [rows({ same: true, bytes: String(pages * 8192), total: String(pages * 8192), block: '8192' })]), {}, {}]);
  };
  const locker = lockerAsks && { query: (text: string) => { lockerAsks(text); return query(text); } } as unknown as Client;
  const options = { database: 'shop', isPaused: false, bucketBytes: 2 ** 20, dutyCycle: 1, signal: new AbortController().signal, finishWithinMs: 3_600_000, way: { isAbandoned: () => false, wasCancelled: async () => false }, lockerOf: () => locker, look: undefined, onProgress: () => undefined, onTableDone: () => Promise.resolve() };
  return readTables({ ...options, workers: [{ query } as unknown as Client], tables: tables.map(tableOf) });
}

test('a table that is locked long after the reading began is waited for like any other', async () => {
  const { manifests } = await reading({ readMs: 90_000, refusals: { small: 3 } });
  expect(manifests.map(({ name, rows, fingerprint }) => [name, rows, fingerprint])).toEqual([['large', 1, '5'], ['small', 1, '5']]);
});

test('one that is locked twice for a moment, and was not looked at for a minute in between, is waited for', async () => {
  const { manifests } = await reading({ readMs: 90_000, refusals: { small: 2 }, tables: ['small', 'large'] });
  expect(manifests.map(({ name }) => name).sort()).toEqual(['large', 'small']);
});

test('one whose lock was refused to end a deadlock is tried again', async () => {
  const { manifests } = await reading({ readMs: 1, refusals: { small: 2 }, code: '40P01' });
  expect(manifests.map(({ name }) => name).sort()).toEqual(['large', 'small']);
});

test('one that stays locked for more than a minute ends it', async () => {
  await expect(reading({ readMs: 1, refusals: { small: 1_000 } })).rejects.toThrow('small is locked');
});

test('a connection that holds tables waits for nothing once it was refused something, and reads no more of that table', async () => {
  const asked: string[] = [];
  const refusals = { large: 0 };
  const lockerAsks = (text: string): void => {
    asked.push(/lock_timeout = \d+$/.exec(text)?.[0] ?? `${text.includes('count(*)') ? 'read' : 'measure'} ${/LOCK (\w+)/.exec(text)?.[1] ?? ''}`);
    if (asked.filter((one) => one === 'read large').length === 2 && asked.at(-1) === 'read large') refusals.large = 1;
  };
  const { manifests } = await reading({ readMs: 1, refusals, pages: 300, lockerAsks });
  const undone = 'measure ';
  expect(asked.filter((one) => one !== undone)).toEqual(['measure large', 'measure small', 'read large', 'read large', 'lock_timeout = 1', 'read small', 'read small', 'read small']);
  expect(manifests.map(({ name, buckets }) => [name, buckets.length])).toEqual([['large', 3], ['small', 3]]);
});
