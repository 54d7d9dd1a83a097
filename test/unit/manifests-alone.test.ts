import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { manifestsDirectory, publishManifestAlone, readManifestAlone, readManifestOf } from '../../activities/archive-provider/manifests.ts';
import { type ArchiveLayout, archiveLayout } from '../../activities/archive/layout.ts';
import type { Manifest } from '../../contracts/manifest.ts';
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
