import { cp, mkdir, readdir, readFile, rm } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { evidenceSchema } from '../../contracts/evidence.ts';
import type { FailureType } from '../../contracts/failures.ts';
import type { Progress } from '../../contracts/messages.ts';
import type { RunRecord } from '../../contracts/record.ts';
import { damageBackup, damageKinds, loudDamageKinds, readColdTables, silentDamageKinds, type ColdTable, type Damage, type DamageKind } from '../../scripts/demo/damage.ts';
import { startDemoEnvironment, type DemoEnvironment } from '../../scripts/demo/environment.ts';
import { awaitGuardian } from '../support/await-guardian.ts';
import { runDrill } from '../support/drill-run.ts';
import { PATIENT } from '../support/patience.ts';

let demo: DemoEnvironment;
let backupId: string;

beforeAll(async () => {
  demo = await startDemoEnvironment({ scale: 0.05, seed: 1, writersPerSecond: 20, log: () => undefined });
  const backup = await demo.client.workflow.execute('backup', { workflowId: `backup/shop/${randomUUID()}`, taskQueue: 'runbooks', args: [{}] }) as { id: string };
  backupId = backup.id;
  // A whole copy of both, so that every kind of damage begins with a sound backup.
  await cp(demo.repository, join(demo.root, 'sound-backups'), { recursive: true, verbatimSymlinks: true, preserveTimestamps: true });
  await mkdir(join(demo.root, 'sound-wal'));
  await cp(demo.production.archiveDirectory, join(demo.root, 'sound-wal'), { recursive: true, preserveTimestamps: true });
});
afterAll(() => demo.stop());

async function restoreSoundBackup(): Promise<void> {
  for (const name of await readdir(demo.repository)) await rm(join(demo.repository, name), { recursive: true });
  await cp(join(demo.root, 'sound-backups'), demo.repository, { recursive: true, verbatimSymlinks: true, preserveTimestamps: true });
  await cp(join(demo.root, 'sound-wal'), demo.production.archiveDirectory, { recursive: true, preserveTimestamps: true, force: true });
}

const tables = () => readColdTables(demo.production.config);
/** What was archived since the sound copy was made is sound, too, and a damage may hit it. */
const damageWith = async (kind: DamageKind, coldTables?: ColdTable[]) => {
  await cp(demo.production.archiveDirectory, join(demo.root, 'sound-wal'), { recursive: true, preserveTimestamps: true, force: false, filter: (path) => !basename(path).startsWith('.') });
  return damageBackup({ repository: demo.repository, backupId, walDirectory: demo.production.archiveDirectory, coldTables: coldTables ?? (await tables()), kind, seed: 7 });
};

/** What the copy lacks by its manifest. */
const lacking = damageKinds.slice(loudDamageKinds.length + silentDamageKinds.length).filter((kind) => kind !== 'stoppedEarly');
type LoudKind = (typeof loudDamageKinds)[number] | 'stoppedEarly';
/** What those that are found on the way must be found by: a name alone is also in what PostgreSQL says of a page or file that nothing had looked at. `last`: no step came after it. */
const loud = {
  flippedBit: { type: 'BACKUP_DAMAGED', last: 'copy' }, missingFile: { type: 'BACKUP_DAMAGED', last: 'copy' },
  missingSegment: { type: 'BACKUP_DAMAGED', last: 'plan' }, truncatedSegment: { type: 'BACKUP_DAMAGED', last: 'plan' },
  stoppedEarly: { type: 'RECOVERY_STOPPED_EARLY', last: 'replay to the manifest of shop' },
} as const satisfies Record<LoudKind, { type: FailureType; last: string }>;
const isSilent = (kind: DamageKind) => silentDamageKinds.some((one) => one === kind);
/** What one comparison has to name, each row's damage in a table of its own: there are two with rows that stand there once. */
const together: DamageKind[][] = [['valueChanged', 'valuesSwapped', 'duplicatesRemoved', ...lacking], ['numericWidened', 'rowRemoved']];

describe('dr-test on a broken backup, which it is not told', () => {
  it('has a case here for each kind that the demo draws', () => {
    expect([...Object.keys(loud), ...together.flat()].sort()).toEqual([...damageKinds].sort());
    expect(lacking).toHaveLength(7);
  });

  it.each(together)('names each table with other rows, and each definition and sequence that the copy lacks: %s, …', async (...kinds) => {
    await restoreSoundBackup();
    const damages: Damage[] = [];
    let sound = await tables();
    for (const kind of kinds) {
      const damage = await damageWith(kind, sound);
      sound = sound.filter(({ name }) => !damage.expectedNames.includes(name));
      damages.push(damage);
    }
    const { evidence } = await runDrill(demo);
    const failed = evidence.checks.filter((check) => check.outcome === 'failed');
    expect(evidence.verdict.restore).toBe('unsound');
    expect(evidence.failure?.type).toBe('RESTORE_UNSOUND' satisfies FailureType);
    expect(failed.map(({ name }) => name).sort()).toEqual(damages.flatMap(({ kind, expectedNames }) => expectedNames.map((name) => (isSilent(kind) ? `table ${name}` : name))).sort());
    expect(evidence.teardown.provenAbsent).toBe(true);
  });

  it.each(Object.entries(loud) as [LoudKind, { type: FailureType; last: string }][])('names %s, where it has to be found, and goes no further', async (kind, { type, last }) => {
    await restoreSoundBackup();
    const damage = await damageWith(kind);
    const { evidence, failure } = await runDrill(demo);
    expect(failure, damage.description).toBeDefined();
    expect(evidence.verdict.restore, failure).toBe('unsound');
    expect(evidence.failure?.type, failure).toBe(type);
    expect(evidence.steps.at(-1), failure).toMatchObject({ name: last, outcome: 'failed' });
    const said = [failure, ...evidence.checks.filter((check) => check.outcome === 'failed').flatMap((check) => [check.name, check.detail])].join('\n');
    expect(damage.expectedNames.some((name) => said.includes(name)), `${damage.expectedNames.join(', ')} in: ${said}`).toBe(true);
    expect(evidence.teardown.provenAbsent).toBe(true);
  });

  it.each(['abort', 'terminate'] as const)('keeps the verdict of a difference that was proven before %s', async (how) => {
    await restoreSoundBackup();
    await damageWith('valueChanged');
    const handle = await demo.client.workflow.start('dr-test', { workflowId: `dr-test/shop/${randomUUID()}`, taskQueue: 'runbooks', args: [{ requester: 'test' }] });
    try {
      await vi.waitUntil(async () => (await handle.query<Progress>('progress')).openGate, PATIENT);
      await handle.executeUpdate('decide', { args: [{ gate: 'start', decision: 'approve', by: 'anna' }] });
      await vi.waitUntil(async () => (await handle.query<RunRecord>('record')).checks.some((check) => check.outcome === 'failed'), { ...PATIENT, interval: 20 });
      await (how === 'abort' ? handle.signal('abort') : handle.terminate('test'));
      await handle.result().catch(() => undefined);
    } finally {
      // Else it would hold the target, and fail the next test, too.
      await handle.terminate('test').catch(() => undefined);
      await awaitGuardian(demo.client, handle);
    }
    const directory = join(demo.root, 'evidence');
    const name = (await readdir(directory)).find((file) => file.startsWith(handle.workflowId.replaceAll('/', '_')) && file.endsWith('.json')) ?? 'none';
    const evidence = evidenceSchema.parse(JSON.parse(await readFile(join(directory, name), 'utf8')));
    expect(evidence).toMatchObject({ outcome: how === 'abort' ? 'aborted' : 'terminated', verdict: { restore: 'unsound', rto: null, rpo: null }, teardown: { provenAbsent: true } });
  });
});
