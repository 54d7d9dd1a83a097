import { mkdtemp, rm, utimes, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { directoryStore } from '../../activities/evidence/directory-store.ts';
import { earlierRuns } from '../../activities/evidence/earlier-runs.ts';
import { lastUndone } from '../../activities/evidence/last-undone.ts';
import type { Evidence } from '../../contracts/evidence.ts';
import { memoryStore } from '../support/memory-store.ts';
import { sampleEvidence } from './report-fixture.ts';

const THIS = sampleEvidence();
const DAY_MS = 86_400_000;
const daysBefore = (days: number, changes: Partial<Evidence> = {}): Evidence => {
  const moved = (instant: string) => new Date(Date.parse(instant) - days * DAY_MS).toISOString();
  return { ...THIS, workflowId: `before-${days}`, runId: `run-${days}`, startedAt: moved(THIS.startedAt), finishedAt: moved(THIS.finishedAt), ...changes };
};

let directory: string;
beforeEach(async () => { directory = await mkdtemp(join(tmpdir(), 'earlier-')); });
afterEach(() => rm(directory, { recursive: true }));
async function keep(evidence: Evidence, name = `dr-test_${evidence.runId}.json`, writtenAt = evidence.finishedAt): Promise<void> {
  await writeFile(join(directory, name), JSON.stringify(evidence));
  await utimes(join(directory, name), new Date(writtenAt), new Date(writtenAt));
}
const found = async (of = THIS) => (await earlierRuns(directoryStore(directory), of)).map(({ runId }) => runId);

it('are the last ten before it, the newest first, in whatever order files were written', async () => {
  for (const days of [3, 12, 1, 7, 2, 11, 5, 9, 4, 10, 6, 8]) await keep(daysBefore(days), undefined, new Date(Date.parse(THIS.finishedAt) - (13 - days) * DAY_MS).toISOString());
  await keep(THIS);
  expect(await found()).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 9, 10].map((days) => `run-${days}`));
});

it('are of the same runbook on the same target, started before it, each once, and readable', async () => {
  await keep(daysBefore(1));
  await keep(daysBefore(1), 'dr-test_again.json');
  await keep(daysBefore(2, { target: 'shop' }));
  await keep(daysBefore(3, { runbook: 'backup' }));
  await keep(daysBefore(4, { runbook: 'backup' }), 'backup_4.json');
  await keep(daysBefore(-1));
  await keep(THIS);
  await writeFile(join(directory, 'dr-test_half.json'), '{"half');
  expect(await found()).toEqual(['run-1']);
  expect(await found({ ...THIS, target: null })).toEqual([]);
});

it('of an old run are found behind any number of newer ones', async () => {
  for (let index = 1; index <= 550; index += 1) await keep(daysBefore(-index));
  await keep(daysBefore(1));
  expect(await found()).toEqual(['run-1']);
});

it('say what they came to, with the recovery time that was judged, also out of an object store', async () => {
  const store = memoryStore();
  const { recovery } = THIS;
  await store.putIfAbsent('dr-test_1.json', JSON.stringify(daysBefore(1, { outcome: 'failed', recovery: { ...recovery!, rpaSeconds: null } })));
  expect(await earlierRuns(store, THIS)).toEqual([{
    workflowId: 'before-1', runId: 'run-1', startedAt: '2026-11-20T03:00:00.000Z', outcome: 'failed', verdict: THIS.verdict, rta: { seconds: 282, words: ', without waiting for people' }, rpaSeconds: null, head: null,
  }]);
});

it('are found by what they say: runs may have any id, and a directory may hold more of other databases', async () => {
  const compensations = [{ ...THIS.compensations[0]!, step: 'copy', outcome: 'done' as const, startedAt: '2026-01-01T00:00:00.000Z', finishedAt: '2026-01-01T00:00:07.000Z' }];
  await keep(daysBefore(30, { compensations }), 'nightly-orders.json');
  for (let other = 1; other <= 60; other += 1) await keep(daysBefore(other / 10, { target: 'shop' }), `dr-test_shop_${other}.json`);
  expect(await found()).toEqual(['run-30']);
  expect(await lastUndone(directoryStore(directory), { runbook: THIS.runbook, target: THIS.target! })).toEqual({ copy: 7 });
});

it('are not looked for without end', async () => {
  const list = () => Promise.resolve(Array.from({ length: 2_000 }, (_, index) => ({ name: `${index}.json`, bytes: 1, modifiedAtMs: index })));
  const get = vi.fn<(name: string) => Promise<string | undefined>>(() => Promise.resolve(JSON.stringify(daysBefore(1, { target: 'shop' }))));
  expect(await lastUndone({ ...directoryStore(directory), list, get }, { runbook: THIS.runbook, target: THIS.target! })).toEqual({});
  expect(get).toHaveBeenCalledTimes(500);
});
