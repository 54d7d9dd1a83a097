import type * as fs from 'node:fs/promises';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { archiveLayout, type ArchiveLayout } from '../../activities/archive/layout.ts';
import { chooseManifestBefore, manifestsDirectory } from '../../activities/archive-provider/manifests.ts';
import { productionHere } from '../../activities/archive-provider/production-here.ts';
import type { PlanDrillInput } from '../../activities/dr-test/drill-activities.ts';
import { configurationSchema } from '../../contracts/configuration.ts';
import { describedBackup, publishDescription } from '../support/described-backup.ts';
import { planOf } from '../support/plan-of.ts';

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

const OLD = '20251201T000000Z-1234abcd';
const NEWEST = '20260101T000000Z-1234abcd';
const readManifests = () => {
  mkdirSync(manifestsDirectory(layout), { recursive: true });
  writeFileSync(join(manifestsDirectory(layout), `${NEWEST}.${'0'.repeat(64)}.json`), '{}');
  return chooseManifestBefore(layout, '2026-01-02T00:00:00Z').then(({ passedOver }) => passedOver.map(({ id }) => id));
};

it('a manifest that lies on a bad disk is passed over; one that this host cannot read for a moment is not', async () => {
  Object.assign(broken, { code: 'EIO', name: NEWEST });
  expect(await readManifests()).toEqual([expect.stringContaining(NEWEST)]);
  broken.code = 'EMFILE';
  await expect(readManifests()).rejects.toMatchObject({ type: 'UNREADABLE', mayPass: true });
});

describe('a backup', () => {
  const chosen = (recoveryPoint: PlanDrillInput['recoveryPoint'] = 'latest') => planOf(root, { recoveryPoint }).then((plan) => plan.recoveryPoint.id, ({ message }: Error) => message);
  const publish = (id: string) => {
    const at = (minute: string) => `${id.slice(0, 4)}-${id.slice(4, 6)}-${id.slice(6, 8)}T00:${minute}:00Z`;
    publishDescription(layout.backups, describedBackup({ id, startedAt: at('00'), stoppedAt: at('01'), publishedAt: at('02'), sourceDataDirectory: '/production/of/shop' }));
  };

  it.each(['EMFILE', 'ESTALE'])('that this host cannot read at present (%s) is waited for where it is what was asked about, and else keeps nobody from another one', async (code) => {
    publish(OLD);
    publish(NEWEST);
    Object.assign(broken, { code, name: NEWEST });
    expect(await chosen()).toContain(code);
    expect(await chosen({ time: '2026-01-01T12:00:00Z' })).toContain(code);
    expect(await chosen({ time: '2025-12-02T00:00:00Z' })).toBe(OLD);
    broken.code = 'EIO';
    expect(await chosen()).toBe(OLD);
    Object.assign(broken, { code, name: OLD });
    expect(await chosen()).toBe(NEWEST);
    expect(await chosen({ time: '2025-12-02T00:00:00Z' })).toContain(code);
  });

  it('that this host cannot read at present, and that is the newest, leaves it unknown where production lies; an older one does not', async () => {
    publish(OLD);
    publish(NEWEST);
    const configuration = configurationSchema.parse({ version: 1, databases: { shop: { connection: { host: 'db.example' }, provider: { kind: 'archive', repository: root, walDirectory: join(root, 'wal') } } } });
    const look = () => productionHere(configuration);
    Object.assign(broken, { code: 'EMFILE', name: OLD });
    expect(await look()).toMatchObject({ ofServers: ['/production/of/shop'], unanswered: [] });
    broken.name = NEWEST;
    expect(await look()).toMatchObject({ ofServers: ['/production/of/shop'], unanswered: [expect.stringMatching(/^what the newest backup of database "shop" .* cannot be read \(.*EMFILE/)] });
    broken.name = 'backup.json';
    expect(await look()).toMatchObject({ ofServers: [], unanswered: [expect.stringContaining('EMFILE')] });
    broken.code = 'EIO';
    expect(await look()).toMatchObject({ ofServers: [], unanswered: [] });
  });
});
