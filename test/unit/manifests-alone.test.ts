import { mkdirSync, mkdtempSync, readdirSync, rmSync, unlinkSync, utimesSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { chooseManifest, chooseManifestBefore, manifestsDirectory, publishManifestAlone, readManifestAlone, readManifestOf } from '../../activities/archive-provider/manifests.ts';
import { type ArchiveLayout, archiveLayout } from '../../activities/archive/layout.ts';
import { parseLsn } from '../../activities/postgres/lsn.ts';
import type { Manifest } from '../../contracts/manifest.ts';
import { segmentNumberOf, type WalContinuity } from '../../activities/archive/wal.ts';
import { classify } from '../../activities/temporal/classify.ts';
import { describedBackup } from '../support/described-backup.ts';

let layout: ArchiveLayout;
beforeEach(() => { layout = archiveLayout({ root: mkdtempSync(join(tmpdir(), 'drb-manifests-')) }); });
afterEach(() => rmSync(layout.root, { recursive: true, force: true }));

test('a manifest that was planned with and is gone, or another by now, says nothing of the backup, nor does a directory that cannot be read', async () => {
  const read = (manifestId: string) => readManifestOf({ layout, point: describedBackup(), manifestId }).catch(classify);
  expect(await read('m.0123456789ab')).toMatchObject({ type: 'PREFLIGHT', nonRetryable: true, message: expect.stringMatching(/was there when the drill was planned, and is gone from .*start the drill again/) as string });
  const [file, id] = await published('m');
  expect(await read(id)).toMatchObject({ schemaVersion: 1 });
  writeFileSync(file, '{}');
  expect(await readManifestAlone(layout, id).catch(classify)).toMatchObject({ type: 'PREFLIGHT', nonRetryable: true, message: expect.stringMatching(/SHA-256 differs.*start the drill again/) as string });
  rmSync(manifestsDirectory(layout), { recursive: true });
  writeFileSync(manifestsDirectory(layout), '');
  expect(await read('m.0123456789ab')).toMatchObject({ type: 'PREFLIGHT', message: expect.stringMatching(/manifests cannot be read: ENOTDIR/) as string });
});

test('the manifest of a backup that is gone is damage of that', async () => {
  const point = describedBackup({ manifestSha256: '1'.repeat(64) });
  expect(await readManifestOf({ layout, point, manifestId: 'backup' }).catch(classify)).toMatchObject({ type: 'BACKUP_DAMAGED', message: expect.stringContaining('manifest.json is missing') as string });
});

test('a manifest that is gone was published, or its place was revoked; one that cannot be read is tried again', async () => {
  const file = join(layout.root, 'manifest.json');
  const publish = () => publishManifestAlone(layout, { name: 'm', file });
  await expect(publish()).rejects.toMatchObject({ type: 'FENCED' });
  mkdirSync(file);
  await expect(publish()).rejects.toMatchObject({ code: 'EISDIR' });
  rmSync(file, { recursive: true });
  writeFileSync(file, '{}');
  expect(await publish()).toMatch(/manifests\/m\.[0-9a-f]{64}\.json$/);
});

describe('of manifests that were taken alone, one is read after the other', () => {
  const point = describedBackup();
  const at = (day: number, time = '12:00:00') => `2026-01-0${day}T${time}.000Z`;
  /** Of a day at noon, as names are, and files are written. */
  const taken = async (day: number, { lsn = `0/${day}000000`, damaged = false, ...over }: Partial<Manifest> & { lsn?: string; damaged?: boolean } = {}) => {
    const [file, id] = await published(`2026010${day}T120000Z-${'0'.repeat(8)}`, { ...over, databases: [{ database: 'shop', lsn, takenAt: at(day, '12:00:05'), tables: [], sequences: [], catalog: [] }] });
    if (damaged) writeFileSync(file, '{}');
    utimesSync(file, new Date(at(day)), new Date(at(day)));
    return id;
  };
  const wal = (lastDay: number): WalContinuity => ({
    segments: Array.from({ length: lastDay }, (_, index) => ({ segmentNumber: segmentNumberOf(parseLsn(`0/${index + 1}000000`), point.walSegmentSize) })), late: [],
  } as unknown as WalContinuity);
  const chosen = (until: string | null = null, lastDay = 9) => chooseManifest({ layout, point, wal: wal(lastDay), until }).then(({ usable, passedOver }) => [usable?.id, ...passedOver.map(({ id }) => id)]);
  const before = (until: string) => chooseManifestBefore(layout, until).then(({ usable, passedOver }) => [usable?.id, ...passedOver.map(({ id }) => id)]);

  test('from the newest on, up to the first that fits: those before it are not looked at, those after it are named where they cannot be read', async () => {
    await taken(3, { damaged: true });
    const newest = await taken(4);
    await taken(5, { systemIdentifier: '8' });
    await taken(6, { timeline: 2 });
    const damaged = await taken(7, { damaged: true });
    await taken(8);
    expect(await chosen(null, 7)).toEqual([newest, damaged]);
    expect(await before(at(4, '13:00:00'))).toEqual([newest]);
  });

  test('and those that their names show to be later than what is asked for, or their files to be earlier than the backup, are left alone', async () => {
    const later = describedBackup({ stopLsn: '0/5000000', publishedAt: at(5) });
    await taken(3, { damaged: true });
    const first = await taken(6);
    await taken(8, { damaged: true });
    const choose = (until: string | null) => chooseManifest({ layout, point: later, wal: wal(9), until });
    expect(await choose(at(7))).toMatchObject({ usable: { id: first }, passedOver: [] });
    expect(await choose(at(6))).toMatchObject({ usable: undefined, passedOver: [] });
    expect(await before(at(7))).toEqual([first]);
  });

  test('but not by the time of a file that is earlier than its name: whatever copied the repository has not kept it', async () => {
    const id = await taken(4);
    const [file = ''] = readdirSync(manifestsDirectory(layout));
    utimesSync(join(manifestsDirectory(layout), file), 0, 0);
    expect(await chosen()).toEqual([id]);
  });

  test('and one whose name tells no time is taken where no other fits', async () => {
    const [renamed, id] = await published('saved');
    const other = await taken(3);
    expect(await chosen()).toEqual([other]);
    unlinkSync(join(manifestsDirectory(layout), readdirSync(manifestsDirectory(layout)).find((name) => name.startsWith('2026')) ?? ''));
    expect([await chosen(), renamed.endsWith('.json')]).toEqual([[id], true]);
  });
});

/** Publishes one that can be read, of the cluster of {@link describedBackup}; where it lies, and its id. */
async function published(name: string, over: Partial<Manifest> = {}): Promise<[file: string, id: string]> {
  const manifest: Manifest = {
    schemaVersion: 1, systemIdentifier: '7', serverVersionNum: 180_001, timeline: 1, salt: '', globals: [], preparedTransactions: [], notVerified: [],
    databases: [{ database: 'shop', lsn: '0/3000000', takenAt: '2026-01-01T00:10:00.000Z', tables: [], sequences: [], catalog: [] }],
    cost: { durationMs: 1, attempts: 1, restarts: [], longestLockMs: 0, longestSnapshotMs: 0, bytesRead: 0, walRetainedBytes: 0 }, ...over,
  };
  const written = join(layout.root, 'written.json');
  writeFileSync(written, JSON.stringify(manifest));
  const file = await publishManifestAlone(layout, { name, file: written });
  return [file, `${name}.${file.slice(-69, -57)}`];
}

test('the manifest from before an instant is the newest by the clock of the source, which instants are by, where it says that', async () => {
  const publish = async (name: string, seconds: { worker: number; source?: number }) => {
    const file = join(layout.root, 'manifest.json');
    const at = (second: number) => `2026-11-30T12:00:${second}.000Z`;
    writeFileSync(file, JSON.stringify({
      schemaVersion: 1, systemIdentifier: '1', serverVersionNum: 180000, timeline: 1, salt: 's', globals: [], preparedTransactions: [], notVerified: [],
      databases: [{ database: 'shop', lsn: '0/1', takenAt: at(seconds.worker), ...(seconds.source ? { takenAtBySource: at(seconds.source) } : {}), tables: [], sequences: [], catalog: [] }],
      cost: { durationMs: 0, attempts: 1, restarts: [], longestLockMs: 0, longestSnapshotMs: 0, bytesRead: 0, walRetainedBytes: 0 },
    }));
    await publishManifestAlone(layout, { name, file });
  };
  await publish('older', { worker: 14 });
  await publish('before', { worker: 35, source: 20 });
  await publish('after', { worker: 15, source: 40 });
  const chosen = async (second: number) => (await chooseManifestBefore(layout, `2026-11-30T12:00:${second}.000Z`)).usable?.id.replace(/\..*/, '');
  expect([await chosen(30), await chosen(15), await chosen(40), await chosen(13)]).toEqual(['before', 'older', 'after', undefined]);
});
