import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { chooseManifestBefore, manifestsDirectory, publishManifestAlone, readManifestOf } from '../../activities/archive-provider/manifests.ts';
import { type ArchiveLayout, archiveLayout } from '../../activities/archive/layout.ts';
import { classify } from '../../activities/temporal/classify.ts';
import { describedBackup } from '../support/described-backup.ts';

let layout: ArchiveLayout;
beforeEach(() => { layout = archiveLayout({ root: mkdtempSync(join(tmpdir(), 'drb-manifests-')) }); });
afterEach(() => rmSync(layout.root, { recursive: true, force: true }));

test('a manifest that was planned with and is gone is damage; where the manifests cannot be read, nothing is said of it', async () => {
  const read = () => readManifestOf({ layout, point: describedBackup(), manifestId: 'm.0123456789ab' }).catch(classify);
  expect(await read()).toMatchObject({ type: 'BACKUP_DAMAGED', message: expect.stringContaining('is gone from') as string });
  writeFileSync(manifestsDirectory(layout), '');
  expect(await read()).toMatchObject({ type: 'PREFLIGHT', message: expect.stringMatching(/manifests cannot be read: ENOTDIR/) as string });
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
