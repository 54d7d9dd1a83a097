import { expect, it } from 'vitest';
import { notInManifest } from '../../activities/dr-test/not-in-manifest.ts';
import type { UsableManifest } from '../../activities/dr-test/provider.ts';
import { databaseSchema } from '../../contracts/configuration.ts';
import type { NotVerified } from '../../contracts/manifest.ts';

/** What is said of a manifest of `shop` under these settings. */
function said(settings: Record<string, unknown>, notVerified: NotVerified[] = []): string[] {
  const parsed = databaseSchema.parse({ connection: { database: 'shop' }, provider: { kind: 'archive', repository: '/r', walDirectory: '/w' }, ...settings });
  return notInManifest(parsed, { id: 'backup', manifest: { databases: [{ database: 'shop' }], notVerified } } as unknown as UsableManifest);
}
const REMEDY = 'take a backup, or a manifest: runbook start manifest';

it('says nothing where the manifest holds what the configuration names', () => {
  expect(said({})).toEqual([]);
  expect(said({ checks: [{ name: 'one', sql: 'SELECT 1', expect: '1', database: 'shop' }, { name: 'two', sql: 'SELECT 1', expect: '1' }] })).toEqual([]);
});

it('names each database that it lacks once, with all that name it', () => {
  expect(said({ connection: { database: 'late' } })).toEqual([`database late (connection.database): manifest backup does not hold it, so nothing of it is compared; ${REMEDY}`]);
  const check = { name: 'totals', sql: 'SELECT 1', expect: '1', database: 'books' };
  expect(said({ checks: [check], heartbeat: { table: 'beat', column: 'at', database: 'books' }, probe: { command: ['ask'], database: 'web' } })).toEqual([
    `database books (check totals, heartbeat.database): manifest backup does not hold it, so nothing of it is compared; ${REMEDY}`,
    `database web (probe.database): manifest backup does not hold it, so nothing of it is compared; ${REMEDY}`,
  ]);
});

it('leaves it to the manifest where that says why, unless there it is by design', () => {
  const closed = (byDesign: boolean) => said({ connection: { database: 'closed' } }, [{ database: 'closed', what: 'contents', why: 'it takes no connections', byDesign }]);
  expect(closed(false)).toEqual([]);
  expect(closed(true)).toEqual(['database closed (connection.database): manifest backup does not hold it, so nothing of it is compared (it takes no connections)']);
});
