import type { Client } from 'pg';
import { expect, it } from 'vitest';
import { compareRows, type TableOfAll } from '../../activities/manifest/since/compare-rows.ts';

// What is read and compared, at real servers: test/integration/manifest-since*.test.ts.
const BUCKET = { fromPage: 0, toPage: null, rows: 5_000, fingerprint: '1', keyFrom: null, keyTo: null };
const refused = { query: () => Promise.reject(Object.assign(new Error('permission denied'), { code: '42501' })) } as unknown as Client;
const table = (also: Partial<TableOfAll>) => ({
  manifest: { schema: 'public', name: 'tenants', method: 'm' }, copy: { schema: 'public', name: 'tenants', label: 'public.tenants', lock: 'LOCK', columns: [], owned: [], from: 'tenants', expression: '0', key: null }, ...also,
}) as unknown as TableOfAll;

it.each<[Partial<TableOfAll>, number]>([[{}, 5_000], [{ isLockedInCopy: true }, 5_000], [{ isOfAnother: true }, 0], [{ isOfAnother: true, isLockedInCopy: true }, 0]])(
  'of rows that may not be read (%j) there are %d, which is what the manifest says of this database, and nothing where it means another one', async (also, unknown) => {
    const { coverage, differences } = await compareRows({ copy: refused, source: undefined }, table(also), [BUCKET], undefined, new AbortController().signal);
    expect({ unknown: coverage.unknown, differences }).toEqual({ unknown, differences: [] });
  });
