import { chownSync, copyFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, expect, it } from 'vitest';
import { destroyDrill } from '../../activities/drill/destroy.ts';
import { type Drill, drillPaths } from '../../activities/drill/drill.ts';
import { recoverToEnd } from '../../activities/drill/recover.ts';
import type { RecoveryPoint } from '../../contracts/recovery-point.ts';
import { type ArchivedSource, continuity, drillOf, productionPaths, startBackedUpSource, DRILL_NAME } from '../support/archived-source.ts';
import { withDrillClient } from '../support/user-clients.ts';
import { archiveUpToNow, closeSegment } from '../support/wal-segments.ts';

/** A copy of the source that somebody promoted archived what it wrote to where the source archives: the source went on, on its own timeline. */
let source: ArchivedSource;
let point: RecoveryPoint;
let ofChild: string[];

const destroy = () => destroyDrill({ name: DRILL_NAME, run: 'run-1', fence: '1', drillsDirectory: source.drillsDirectory, productionPaths: productionPaths(source) });
const toEnd = async (over: (drill: Drill) => void = () => undefined) => {
  const { drill, wal } = await drillOf(source, point);
  over(drill);
  return { drill, wal, recovered: await recoverToEnd({ drill, target: null, expectedEndLsn: wal.endLsn, timeline: 1 }) };
};

beforeAll(async () => {
  ({ source, point } = await startBackedUpSource());
  const { drill } = await toEnd();
  await withDrillClient(drill, 'postgres', async (client) => {
    for (let count = 0; count < 3; count += 1) {
      await client.query(`CREATE TABLE of_child_${count} AS SELECT 1 AS n`);
      await closeSegment(client);
    }
  });
  const written = join(drillPaths(drill.directory).data, 'pg_wal');
  // Its last one is not closed.
  ofChild = readdirSync(written).filter((name) => /^00000002(\.history|[0-9A-F]{16})$/.test(name)).sort().slice(0, 4);
  for (const name of ofChild) copyFileSync(join(written, name), join(source.layout.wal, name));
  await destroy();
  await source.server.withClient('postgres', async (client) => {
    await client.query('CREATE TABLE later_still AS SELECT 1 AS n');
    await archiveUpToNow(client, source.layout.wal);
  });
});
afterAll(() => source.server.stop());
afterEach(destroy);

it('nothing of a child timeline is counted as of the archive, nor copied', async () => {
  expect(ofChild).toEqual(['00000002.history', ...[0, 1, 2].map(() => expect.stringMatching(/^00000002/) as string)]);
  const { historyFiles, segments, late } = await continuity(source, point);
  expect([historyFiles, late]).toEqual([[], []]);
  expect(new Set(segments.map(({ timeline }) => timeline))).toEqual(new Set([1]));
});

it.each([
  ['as it is copied', () => undefined],
  ['even where all of the child is beside it', ({ directory, owner }: Drill) => {
    for (const name of ofChild) {
      const target = join(drillPaths(directory).wal, name);
      copyFileSync(join(source.layout.wal, name), target);
      if (owner) chownSync(target, owner.uid, owner.gid);
    }
  }],
])("recovery ends on the backup's own timeline, with what its source wrote last: %s", async (_how, over) => {
  const { drill, wal, recovered } = await toEnd(over);
  expect(recovered.endLsn).toBe(wal.endLsn);
  const { rows } = await withDrillClient(drill, 'postgres', (client) => client.query<{ name: string }>(`SELECT relname AS name FROM pg_class WHERE relname ~ '^(later|of_child)' ORDER BY 1`));
  expect(rows.map(({ name }) => name)).toEqual(['later', 'later_still']);
});
