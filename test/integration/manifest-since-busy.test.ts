import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { ComparisonResult, Manifest } from '../../contracts/manifest.ts';
import { asking, compareLiving, OF_BOTH, OF_SOURCE } from '../support/living-source.ts';
import { manifestsOf } from '../support/manifest-scenario.ts';
import { openedCopy } from '../support/opened-copy.ts';
import { startCluster, type Server } from '../support/postgres.ts';
import { rowsLeft } from '../support/rows-left.ts';

/** What people do to tables at the source while a copy is compared with it. */
let source: Server;
let copy: Server;
let manifest: Manifest;

const atSource = asking(() => source);

beforeAll(async () => {
  source = await startCluster({ logical: true, settings: OF_SOURCE });
  await atSource('CREATE TABLE base AS SELECT g AS id FROM generate_series(1, 50000) g; CREATE TABLE locked AS SELECT g AS id FROM generate_series(1, 20000) g; CREATE TABLE staging AS SELECT g AS id FROM generate_series(1, 500) g');
  manifest = await manifestsOf(() => source).take();
  await atSource('UPDATE locked SET id = -1 WHERE id % 10 = 1; TRUNCATE staging; INSERT INTO staging SELECT generate_series(1, 600)');
  copy = await openedCopy(source, OF_BOTH);
});
afterAll(() => Promise.all([source.stop(), copy.stop()]));

const compare = (lockTimeoutMs: number): Promise<ComparisonResult> => compareLiving({ copy, source, manifest, lockTimeoutMs });
const refusals = () => source.log().match(/canceling statement due to lock timeout/g)?.length ?? 0;

describe('a table that somebody has locked at the source', () => {
  const whileLocked = <T>(work: (release: () => Promise<unknown>) => Promise<T>): Promise<T> => source.withClient('postgres', async (client) => {
    await client.query('BEGIN; LOCK TABLE locked IN ACCESS EXCLUSIVE MODE');
    return work(() => client.query('ROLLBACK'));
  });

  it('for as long as the comparison takes is open, and keeps nothing else from being compared', async () => {
    const result = await whileLocked(() => compare(50));
    expect([result.differences, rowsLeft(result)]).toEqual([[], [expect.stringMatching(/^open: 20000 of 20000 rows of public\.locked, where the manifest has \d+ more: somebody had the table locked at the source for longer than manifest\.lockTimeout each time that it was asked for$/)]]);
    expect(result.coverage).toMatchObject({ byManifest: 50_000, unknown: 20_000 });
    // Once for each try and connection, however many parts the table has.
    expect(refusals()).toBeLessThanOrEqual(10);
  });

  it('and lets go of is compared as if nothing had been', async () => {
    const before = refusals();
    const result = await whileLocked(async (release) => {
      const comparing = compare(1_000);
      await expect.poll(refusals).toBeGreaterThan(before);
      await release();
      return comparing;
    });
    expect([result.differences, rowsLeft(result)]).toEqual([[], []]);
    expect(result.coverage).toMatchObject({ unknown: 0, byManifest: 50_000 });
  });
});

it('a table that is reloaded more often than the comparison takes is left out by design', async () => {
  let isGoing = true;
  let reloaded = 0;
  const reloading = (async () => {
    for (; isGoing; reloaded += 1) {
      await atSource('TRUNCATE staging; INSERT INTO staging SELECT generate_series(1, 600)');
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  })();
  try {
    for (let round = 0; round < 5; round += 1) {
      const before = reloaded;
      expect(rowsLeft(await compare(5_000))).toEqual(['by design: 600 of 600 rows of public.staging: the source has written all rows of the table anew since the instant of the copy']);
      expect(reloaded).toBeGreaterThan(before);
    }
  } finally {
    isGoing = false;
    await reloading;
  }
});
