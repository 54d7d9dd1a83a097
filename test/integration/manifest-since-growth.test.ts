import { Socket } from 'node:net';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { ComparisonResult, Manifest } from '../../contracts/manifest.ts';
import { asking, compareLiving, OF_BOTH, OF_SOURCE } from '../support/living-source.ts';
import { manifestsOf } from '../support/manifest-scenario.ts';
import { openedCopy } from '../support/opened-copy.ts';
import { startCluster, type Server } from '../support/postgres.ts';

/** Pages that the source has of a table beyond the last one of its copy. */
let source: Server;
let copy: Server;
let manifest: Manifest;

const atSource = asking(() => source);
const onCopy = asking(() => copy);

beforeAll(async () => {
  source = await startCluster({ logical: true, settings: { max_wal_size: '2GB', ...OF_SOURCE } });
  await atSource('CREATE TABLE base AS SELECT g AS id FROM generate_series(1, 5000) g; CREATE TABLE today (id int)');
  for (const name of ['cut', 'emptied', 'untouched']) await atSource(`CREATE TABLE ${name} AS SELECT g AS id FROM generate_series(1, 20000) g`);
  manifest = await manifestsOf(() => source).take();
  await atSource('INSERT INTO today SELECT generate_series(1, 10); INSERT INTO untouched VALUES (0)');
  copy = await openedCopy(source, OF_BOTH);
});
afterAll(() => Promise.all([source.stop(), copy.stop()]));

/** With the bytes that came from the source. */
async function compare(): Promise<ComparisonResult & { bytes: number }> {
  const sockets: Socket[] = [];
  const counted = () => {
    const socket = new Socket();
    sockets.push(socket);
    return socket;
  };
  const result = await compareLiving({ copy, source: { config: (name) => ({ ...source.config(name), stream: counted }) }, manifest });
  return { ...result, bytes: sockets.reduce((sum, { bytesRead }) => sum + bytesRead, 0) };
}

describe('rows beyond the last page of the copy', () => {
  it('that the source wrote since are not read: only who made them', async () => {
    const before = await compare();
    await atSource('INSERT INTO today SELECT generate_series(1, 400000); INSERT INTO untouched SELECT generate_series(1, 400000)');
    const grown = await compare();
    expect(grown.differences).toEqual([]);
    expect(grown.coverage).toEqual(before.coverage);
    expect(grown.bytes - before.bytes).toBeLessThan(1_000_000);
  });

  it('that the copy has lost are damage, whatever the source wrote behind them', async () => {
    await onCopy('DELETE FROM cut WHERE id > 9000; DELETE FROM emptied');
    await onCopy('VACUUM cut, emptied');
    expect((await onCopy(`SELECT pg_relation_size('cut')::int / 8192 AS cut, pg_relation_size('emptied')::int AS emptied`)).rows).toEqual([{ cut: 40, emptied: 0 }]);
    const missing = async () => {
      const sums: Record<string, number> = {};
      for (const difference of (await compare()).differences) if (difference.kind === 'rows') sums[difference.table] = (sums[difference.table] ?? 0) + difference.rowsExpected - difference.rowsFound;
      return sums;
    };
    expect(await missing()).toEqual({ 'public.cut': 11_000, 'public.emptied': 20_000 });
    await atSource('INSERT INTO cut SELECT generate_series(1, 50000); INSERT INTO emptied SELECT generate_series(1, 50000)');
    expect(await missing()).toEqual({ 'public.cut': 11_000, 'public.emptied': 20_000 });
  });
});
