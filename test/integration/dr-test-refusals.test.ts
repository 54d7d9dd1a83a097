import { readFile, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { sendSignal } from '../../activities/drill/processes.ts';
import { manifestSchema, type Manifest } from '../../contracts/manifest.ts';
import { forgeManifest } from '../../scripts/demo/damage/published-files.ts';
import { runDrill, takeBackup } from '../support/drill-run.ts';
import { type MeasuredSource, reconfigure, startMeasuredSource } from '../support/measured-source.ts';

let source: MeasuredSource;
let manifestFile: string;
beforeAll(async () => {
  source = await startMeasuredSource();
  await source.run(`CREATE FUNCTION gives_up() RETURNS int LANGUAGE plpgsql AS 'BEGIN RAISE EXCEPTION USING ERRCODE = ''57014''; END'`);
  manifestFile = join(source.repository, 'backups', (await takeBackup(source)).id, 'manifest.json');
});
afterAll(() => source.stop());

it('a disaster that is declared for a later instant is refused, not measured', async () => {
  const { evidence } = await runDrill(source, { declaredAt: new Date(Date.now() + 3_600_000).toISOString() });
  expect(evidence.failure).toMatchObject({ type: 'INVALID_INPUT', message: expect.stringContaining('is later than the start of the run') as string });
  expect(evidence.recovery).toBeNull();
  expect(evidence.steps.map((step) => step.name)).toEqual(['plan']);
});

it('a wrong password of the source is a mistake in the configuration, and no dead source', async () => {
  const wrong = join(source.root, 'wrong-password');
  await writeFile(wrong, 'not the password', { mode: 0o600 });
  let right: unknown;
  await reconfigure(source, (database) => {
    const connection = database['connection'] as Record<string, unknown>;
    right = connection['passwordFile'];
    connection['passwordFile'] = wrong;
  });
  const { evidence } = await runDrill(source);
  await reconfigure(source, (database) => { (database['connection'] as Record<string, unknown>)['passwordFile'] = right; });
  expect(evidence.failure).toMatchObject({ type: 'CONFIGURATION', message: expect.stringMatching(/password authentication failed.*databases\.shop\.connection\.user and its password/) as string });
  expect(evidence.verdict).toMatchObject({ restore: null });
});

it("a check of the owner's that does not finish leaves the restore unproven, and not unsound", async () => {
  let checks: unknown;
  await reconfigure(source, (database) => {
    checks = database['checks'];
    database['checks'] = [{ name: 'totals', sql: 'SELECT gives_up()', expect: 1 }];
  });
  const { evidence } = await runDrill(source);
  await reconfigure(source, (database) => { database['checks'] = checks; });
  expect(evidence.verdict.restore).toBe('notProven');
  expect(evidence.failure).toMatchObject({ type: 'RESTORE_NOT_PROVEN', message: expect.stringContaining('check totals: did not finish') as string });
  expect(evidence.notVerified.join()).toContain('check totals: did not finish');
});

it('what a probe started in a session of its own is ended when the drill is torn down', async () => {
  const pidFile = join(source.root, 'probe.pid');
  await reconfigure(source, (database) => { database['probe'] = { command: ['sh', '-c', `setsid sh -c 'echo $$ > ${pidFile}; exec sleep 887' & sleep 1`] }; });
  const { evidence, failure } = await runDrill(source);
  await reconfigure(source, (database) => { delete database['probe']; });
  const pid = (await readFile(pidFile, 'utf8')).trim();
  expect(pid).toMatch(/^\d+$/);
  const isLeft = (await readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => '')).includes('887');
  if (isLeft) sendSignal(Number(pid), 'SIGKILL');
  expect(isLeft).toBe(false);
  expect(failure).toBeUndefined();
  expect(evidence.teardown.provenAbsent).toBe(true);
});

it('a difference that the comparison found counts, whatever keeps the probe after it from being started', async () => {
  const sound = await readFile(manifestFile, 'utf8');
  const manifest = manifestSchema.parse(JSON.parse(sound));
  const table = manifest.databases.flatMap(({ tables }) => tables).find(({ name }) => name === 'customer');
  const bucket = table?.buckets[0];
  if (!table || !bucket) throw new Error('there is no table to forge');
  bucket.fingerprint = String(BigInt(bucket.fingerprint) + 1n);
  table.fingerprint = String(BigInt(table.fingerprint) + 1n);
  await forgeManifest(dirname(manifestFile), JSON.stringify(manifest));
  await reconfigure(source, (database) => { database['probe'] = { command: ['/nowhere/at-all'] }; });
  const { evidence, failure } = await runDrill(source).finally(async () => {
    await reconfigure(source, (database) => { delete database['probe']; });
    await forgeManifest(dirname(manifestFile), sound);
  });
  expect(failure).toContain('sales.customer');
  expect(evidence).toMatchObject({ verdict: { restore: 'unsound' }, failure: { type: 'RESTORE_UNSOUND' }, teardown: { provenAbsent: true } });
  expect(evidence.checks.find(({ name }) => name === 'application probe')).toMatchObject({ outcome: 'skipped', detail: expect.stringMatching(/ENOENT.*probe\.command/) as string });
});

describe('prepared transactions of the copy', () => {
  let preparedMs: number;
  beforeAll(async () => {
    await source.run(`BEGIN; INSERT INTO marks DEFAULT VALUES; PREPARE TRANSACTION 'pay-17'`);
    preparedMs = Date.now();
    await sleep(6000);
    await source.commit(1);
    await source.archive();
  });
  afterAll(() => source.run(`ROLLBACK PREPARED 'pay-17'`));
  const drill = async () => {
    const { evidence } = await runDrill(source);
    return { verdict: evidence.verdict.restore, check: evidence.checks.find((check) => check.name === 'prepared transactions') };
  };
  const publish = async (change: (manifest: Manifest) => void) => {
    const manifest = manifestSchema.parse(JSON.parse(await readFile(manifestFile, 'utf8')));
    change(manifest);
    await forgeManifest(dirname(manifestFile), JSON.stringify(manifest));
  };

  it('that the source left are named, with the commands that resolve them', async () => {
    const { verdict, check } = await drill();
    expect(check).toMatchObject({ outcome: 'passed' });
    for (const part of ['1 left over', '"pay-17" in shop', `COMMIT PREPARED 'pay-17'; or ROLLBACK PREPARED 'pay-17';`, 'hold their locks']) expect(check?.detail).toContain(part);
    expect(verdict).toBe('sound');
  });

  it('that are older than the manifest and not in it make the restore unsound', async () => {
    await publish((manifest) => {
      for (const database of manifest.databases) database.takenAtBySource = new Date(preparedMs + 2500).toISOString();
      manifest.cost.durationMs = 0;
    });
    const { verdict, check } = await drill();
    expect(check).toMatchObject({ outcome: 'failed', detail: expect.stringContaining('the source did not have "pay-17" in shop') as string });
    expect(verdict).toBe('unsound');
    await publish((manifest) => manifest.preparedTransactions.push({ gid: 'pay-17', database: 'shop', preparedAt: new Date(preparedMs).toISOString() }));
    expect(await drill()).toMatchObject({ verdict: 'sound', check: { outcome: 'passed' } });
  });
});
