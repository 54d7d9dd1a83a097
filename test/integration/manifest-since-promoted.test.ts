import { execFile } from 'node:child_process';
import { dirname } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { promisify } from 'node:util';
import type { Client } from 'pg';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { otherHistory } from '../../activities/manifest/since/other-history.ts';
import { timelineOf } from '../../activities/manifest/timeline.ts';
import type { Manifest } from '../../contracts/manifest.ts';
import { asking, compareLiving, OF_BOTH, OF_SOURCE } from '../support/living-source.ts';
import { manifestsOf } from '../support/manifest-scenario.ts';
import { openedCopy } from '../support/opened-copy.ts';
import { backUpByCopy, runAs, startCluster, startServer, type Server } from '../support/postgres.ts';

/** A standby that was promoted a moment ago: its first checkpoint on its own timeline, which writes a page each tenth of a second, takes minutes. */
let primary: Server;
let source: Server;
let before: Manifest;
/** What the source said of its timeline as a standby. */
let asStandby: number;

const atPrimary = asking(() => primary);
const atSource = asking(() => source);
/** As `pg_control` has it: of the last checkpoint, and of the end of recovery. */
const kept = async () => (await atSource('SELECT c.timeline_id AS checkpoint, r.min_recovery_end_timeline AS recovery FROM pg_control_checkpoint() c, pg_control_recovery() r')).rows[0] as object;

beforeAll(async () => {
  primary = await startCluster({ logical: true, settings: OF_SOURCE });
  await atPrimary('CREATE TABLE orders AS SELECT g AS id, g AS v FROM generate_series(1, 5000) g; CREATE ROLE clerk; CREATE ROLE stranger');
  before = await manifestsOf(() => primary).take();
  const directory = await backUpByCopy(primary);
  await promisify(execFile)('touch', [`${directory}/standby.signal`], { ...runAs() });
  await atPrimary(`CREATE TABLE later AS SELECT g AS id, repeat('x', 1000) AS t FROM generate_series(1, 10000) g; SELECT pg_switch_wal()`);
  source = await startServer({ dataDirectory: directory, owns: dirname(directory), settings: {
    ...OF_SOURCE, shared_buffers: '128MB', checkpoint_timeout: '1h', max_wal_size: '4GB', bgwriter_lru_maxpages: 0, fsync: 'off',
    restore_command: `cp ${primary.dataDirectory}/pg_wal/%f %p`, wal_retrieve_retry_interval: '100ms', archive_mode: 'off',
  } });
  while ((await atSource(`SELECT FROM pg_class WHERE relname = 'later'`)).rowCount === 0) await setTimeout(50);
  asStandby = await source.withClient('postgres', timelineOf);
  await atSource('SELECT pg_promote()');
});
afterAll(() => Promise.all([primary.stop(), source.stop()]));

it('a source that was promoted a moment ago has another history than a manifest of before, and the one of a manifest of now', async () => {
  const now = await manifestsOf(() => source).take();
  const history = (manifest: Manifest) => source.withClient('postgres', (client) => otherHistory(client, manifest, manifest.databases[0]!));
  const [ofBefore, ofNow] = [await history(before), await history(now)];
  expect(await kept()).toEqual({ checkpoint: 1, recovery: 2 });
  expect([ofBefore, ofNow, before.timeline, now.timeline]).toEqual(['the source is on timeline 2, and the manifest is of timeline 1', null, 1, 2]);

  await atSource('CHECKPOINT');
  expect(await kept()).toEqual({ checkpoint: 2, recovery: 0 });
  const copy = await openedCopy(source, OF_BOTH);
  try {
    const { differences, notVerified } = await compareLiving({ copy, source, manifest: now });
    expect([differences, notVerified.filter(({ byDesign }) => !byDesign)]).toEqual([[], []]);
  } finally {
    await copy.stop();
  }
});

it('the timeline is that of the last checkpoint for a standby, and where a service does not let us ask for more', async () => {
  const as = (role: string) => source.withClient('postgres', async (client: Client) => {
    await client.query(`SET ROLE ${role}`);
    return timelineOf(client);
  });
  expect([asStandby, await as('clerk')]).toEqual([1, 2]);
  await atSource('REVOKE EXECUTE ON FUNCTION pg_walfile_name FROM PUBLIC');
  expect(await as('clerk')).toBe(2);
  await atSource('REVOKE EXECUTE ON FUNCTION pg_control_recovery FROM PUBLIC; GRANT EXECUTE ON FUNCTION pg_control_recovery TO clerk');
  expect(await as('clerk')).toBe(2);
  await expect(as('stranger')).rejects.toMatchObject({ code: '42501' });
});
