import type * as fs from 'node:fs/promises';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { archiveLayout, type ArchiveLayout, listRecoveryPoints } from '../../activities/archive/layout.ts';
import { chooseManifestBefore, manifestsDirectory } from '../../activities/archive-provider/manifests.ts';

/** What the system says where one of these is read; no test can make a disk fail. */
const broken = vi.hoisted(() => ({ code: '', name: '' }));
vi.mock('node:fs/promises', async (original) => {
  const real = await original<typeof fs>();
  return { ...real, readFile: ((path: string, ...rest: []) => (path.includes(broken.name) ? Promise.reject(Object.assign(new Error(broken.code), { code: broken.code })) : real.readFile(path, ...rest))) as typeof fs.readFile };
});

let root: string;
let layout: ArchiveLayout;
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'passed-over-'));
  layout = archiveLayout({ root });
});
afterEach(() => rmSync(root, { recursive: true }));

const NEWEST = '20261201T000000Z-1234abcd';
const readBackups = () => {
  mkdirSync(join(layout.backups, NEWEST), { recursive: true });
  writeFileSync(join(layout.backups, NEWEST, 'backup.json'), '{}');
  return listRecoveryPoints(layout).then(({ unusable }) => unusable.map(({ id }) => id));
};
const readManifests = () => {
  mkdirSync(manifestsDirectory(layout), { recursive: true });
  writeFileSync(join(manifestsDirectory(layout), `${NEWEST}.${'0'.repeat(64)}.json`), '{}');
  return chooseManifestBefore(layout, '2026-12-02T00:00:00Z').then(({ passedOver }) => passedOver.map(({ id }) => id));
};

it.each([['backup', readBackups], ['manifest', readManifests]] as const)('a %s that lies on a bad disk is passed over; one that this host cannot read for a moment is not', async (_what, read) => {
  Object.assign(broken, { code: 'EIO', name: NEWEST });
  expect(await read()).toEqual([expect.stringContaining(NEWEST)]);
  broken.code = 'EMFILE';
  await expect(read()).rejects.toMatchObject({ type: 'UNREADABLE', mayPass: true });
});
