import { afterAll, beforeAll, expect, it } from 'vitest';
import { damageKinds, loudDamageKinds, type DamageKind } from '../../scripts/demo/damage.ts';
import { damageDemo } from '../../scripts/demo/damage-demo.ts';
import { startDemoEnvironment, type DemoEnvironment } from '../../scripts/demo/environment.ts';
import { runDrill, takeBackup } from '../support/drill-run.ts';

let demo: DemoEnvironment;
let backupId: string;
beforeAll(async () => {
  // All that is written from the backup's beginning to its end fits into one segment.
  demo = await startDemoEnvironment({ scale: 0.01, seed: 1, writersPerSecond: 0, production: { settings: { autovacuum: 'off', archive_timeout: '0' } }, log: () => undefined });
  backupId = (await takeBackup(demo)).id;
});
afterAll(() => demo.stop());

/** Those first after which a page can still be read as one. */
const kinds: DamageKind[] = [...damageKinds.filter((kind) => !loudDamageKinds.some((loud) => loud === kind)), ...loudDamageKinds];

it.each(kinds)('a small demo, whose backup came with hardly any WAL, is damaged by %s', async (kind) => {
  const { expectedNames } = await damageDemo(demo, { backupId, seed: 8, kind });
  expect(expectedNames).not.toEqual([]);
  if (kind !== 'missingSegment') return;
  const { evidence, failure } = await runDrill(demo);
  expect(evidence.verdict.restore).toBe('unsound');
  expect(failure).toContain(expectedNames[0]);
});
