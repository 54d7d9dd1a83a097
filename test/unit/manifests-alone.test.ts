import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { manifestsDirectory, publishManifestAlone, readManifestOf } from '../../activities/archive-provider/manifests.ts';
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
