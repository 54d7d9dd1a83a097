import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, expect, it } from 'vitest';
import { destroyDrill } from '../../activities/drill/destroy.ts';
import { drillPaths } from '../../activities/drill/drill.ts';
import { recoverToEnd } from '../../activities/drill/recover.ts';
import type { RecoveryPoint } from '../../contracts/recovery-point.ts';
import { type ArchivedSource, backUp, createTablespaceLater, drillOf, DRILL_NAME, instantOf, productionPaths, startArchivedSource } from '../support/archived-source.ts';
import { withDrillClient } from '../support/user-clients.ts';

let source: ArchivedSource;
let point: RecoveryPoint;
let beforeAnother: Date;
let later: Awaited<ReturnType<typeof createTablespaceLater>>;

beforeAll(async () => {
  source = await startArchivedSource();
  const run = (sql: string) => source.server.withClient('postgres', (client) => client.query(sql));
  await run('CREATE TABLE events (body text)');
  point = await backUp(source, 'b1');
  await run(`INSERT INTO events VALUES ('one')`);
  beforeAnother = await instantOf(source);
  await run(`INSERT INTO events VALUES ('another')`);
  later = await createTablespaceLater(source);
});
afterEach(() => destroyDrill({ name: DRILL_NAME, run: 'run-1', fence: '1', drillsDirectory: source.drillsDirectory, productionPaths: productionPaths(source) }));
afterAll(() => source.server.stop());

it.each<[string, () => Date, string[]]>([
  ['with a commit between the two', () => beforeAnother, ['one']],
  // CREATE TABLESPACE commits behind the record that makes it.
  ['with none', () => later.beforeCreation, ['another', 'one']],
])('recovery to an instant before a tablespace was created has all of that instant, and makes no tablespace: %s', async (_what, until, rows) => {
  const before = later.contents();
  const { drill, wal } = await drillOf(source, point, { until: until() });
  await recoverToEnd({ drill, target: { lsn: wal.stopLsn as string }, expectedEndLsn: wal.endLsn, timeline: 1 });
  const found = await withDrillClient(drill, 'postgres', async (client) => (await client.query<{ body: string }>('SELECT body FROM events ORDER BY 1')).rows.map(({ body }) => body));
  expect(found).toEqual(rows);
  expect(readdirSync(join(drillPaths(drill.directory).data, 'pg_tblspc'))).toEqual([]);
  expect(later.contents()).toEqual(before);
});
