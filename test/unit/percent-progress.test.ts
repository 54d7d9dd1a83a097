import { expect, it } from 'vitest';
import { makeSnapshot } from '../../activities/database-snapshot/make-snapshot.ts';
import type { Begun, KeptSnapshot } from '../../activities/database-snapshot/snapshot-store.ts';
import { snapshotName, tagsOf } from '../../activities/database-snapshot/snapshot-tags.ts';
import { percentProgress, type ActivityProgress } from '../../activities/temporal/long-activity.ts';
import { progressWords } from '../../contracts/under-way.ts';

const lineOf = (progress: ActivityProgress): string => [progress.phase, ...progressWords(progress, 1)].join(', ');

it('a percentage is no number of bytes, and one that is not told is not there', () => {
  expect(['25', 25, 0, undefined, 'soon'].map((percent) => lineOf(percentProgress('creating', percent)))).toEqual(['creating, 25 %', 'creating, 25 %', 'creating, 0 %', 'creating', 'creating']);
});

it('a snapshot in RDS is so many per cent done', async () => {
  const ref = { database: 'shop', stem: 'runbooks', fence: 1, owner: { workflowId: 'database-snapshot/shop/1', firstExecutionRunId: 'a' }, expiresAt: '2026-12-30T00:00:00.000Z' };
  const kept = (status: string, percent: number): KeptSnapshot => ({ id: snapshotName(ref), arn: 'arn', status, percent, takenAt: null, sizeBytes: 1, isEncrypted: false, isOf: () => true, tags: tagsOf(ref, new Date()) });
  const found = [undefined, kept('creating', 25), kept('available', 100)];
  const begun: Begun[] = ['not now', 'begun'];
  const said: string[] = [];
  await makeSnapshot({
    ref, store: { where: 'here', find: () => Promise.resolve(found.shift()) }, begin: () => Promise.resolve(begun.shift() ?? 'begun'), earlierMs: [], lookEveryMs: 1, patienceMs: 600_000,
    signal: new AbortController().signal, onProgress: (progress) => said.push(lineOf(progress)),
  });
  expect(said).toEqual(['waiting until RDS can begin it', 'RDS says: creating, 25 %', 'RDS says: available, 100 %']);
});
