import { rename } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { addsUp, near, phase, recoveryOf } from '../support/measurements.ts';
import { runDrill, takeBackup } from '../support/drill-run.ts';
import { type MeasuredSource, reconfigure, startMeasuredSource, timeProbes } from '../support/measured-source.ts';

describe('RTA and RPA against what the test itself did and wrote down', () => {
  let source: MeasuredSource;
  let probedAt: () => Promise<number>;
  beforeAll(async () => {
    source = await startMeasuredSource();
    probedAt = await timeProbes(source);
    await takeBackup(source);
  });
  afterAll(() => source.stop());

  it('a known wait at the gate and a known loss of commits are measured, and the phases add up to the RTA', async () => {
    const recovered = await source.commit(3);
    await source.archive();
    await sleep(2500);
    const lost = await source.commit(17);
    await sleep(100);
    const startedMs = Date.now();
    let openedMs = 0;
    let approvedMs = 0;
    const { evidence } = await runDrill(source, {}, { holdGateMs: 3000, atGate: async () => { openedMs = Date.now(); }, atApproval: () => {
      approvedMs = Date.now();
      // The source takes no connection for a while: the plan is looked at once more for as long as that, and nobody is waited for.
      process.kill(source.production.pid, 'SIGSTOP');
      setTimeout(() => process.kill(source.production.pid, 'SIGCONT'), 2500);
    } });
    const recovery = recoveryOf(evidence);
    expect(recovery.lostTransactions).toBe(17);
    near(recovery.rpaSeconds, (lost - recovered) / 1000);
    near(phase(recovery, 'human wait'), (approvedMs - openedMs) / 1000);
    expect(phase(recovery, 'locating')).toBeGreaterThan(2.4);
    expect(phase(recovery, 'human wait')).toBeGreaterThanOrEqual(3);
    near(recovery.rtaSeconds, (await probedAt() - startedMs) / 1000);
    expect(recovery.rtaSeconds - recovery.rtaWithoutWaitSeconds).toBeCloseTo(phase(recovery, 'human wait'), 2);
    expect(recovery.rtaWithoutWaitSeconds - recovery.rtaWithoutComparisonSeconds).toBeCloseTo(phase(recovery, 'comparison'), 2);
    near(recovery.clockSkewSeconds, 0);
    addsUp(evidence);
  });

  it('a lagging archive counts as it stood at the declaration, and later commits do not count', async () => {
    const recovered = await source.commit(1);
    await source.archive();
    const release = await source.holdArchiver();
    await source.commit(5);
    await source.run('SELECT pg_switch_wal()');
    await sleep(1500);
    const lost = await source.commit(4);
    await sleep(200);
    const declaredMs = Date.now();
    await sleep(1500);
    // While people think, the archive catches up and the application goes on.
    await release();
    await source.commit(6);
    await source.archive();
    const { evidence } = await runDrill(source, { declaredAt: new Date(declaredMs).toISOString() });
    const recovery = recoveryOf(evidence);
    expect(recovery.lostTransactions).toBe(9);
    near(recovery.rpaSeconds, (lost - recovered) / 1000);
    near(recovery.rtaSeconds, (await probedAt() - declaredMs) / 1000);
    near(phase(recovery, 'detection'), (Date.parse(evidence.startedAt) - declaredMs) / 1000);
    addsUp(evidence);
  });

  it('an idle source has lost nothing, however long it was idle', async () => {
    await source.commit(1);
    await source.archive();
    await sleep(2500);
    const { evidence } = await runDrill(source);
    expect(recoveryOf(evidence)).toMatchObject({ lostTransactions: 0, rpaSeconds: 0 });
    expect(evidence.verdict.rpo).toBe('met');
  });

  it('an idle source that is vacuumed and analysed has lost nothing, and a GRANT is a loss', async () => {
    await source.run('CREATE STATISTICS marks_both ON id, at FROM marks');
    await source.run('INSERT INTO marks (at) SELECT clock_timestamp() FROM generate_series(1, 5000)');
    await source.run('DELETE FROM marks WHERE id > 2000');
    await source.archive();
    await sleep(1500);
    for (const sql of ['ALTER SYSTEM SET autovacuum_naptime = 1', 'ALTER SYSTEM SET autovacuum = on', 'SELECT pg_reload_conf()']) await source.run(sql);
    const analysed = () => source.run(`SELECT FROM pg_stat_user_tables WHERE relname = 'marks' AND last_autoanalyze IS NOT NULL`);
    await expect.poll(async () => (await analysed() as { rowCount: number }).rowCount, { interval: 200 }).toBe(1);
    for (const sql of ['ALTER SYSTEM SET autovacuum = off', 'SELECT pg_reload_conf()']) await source.run(sql);
    await source.run('ANALYZE');
    await source.run('VACUUM (ANALYZE) marks');
    const idle = recoveryOf((await runDrill(source)).evidence);
    expect(idle).toMatchObject({ lostTransactions: 0, rpaSeconds: 0 });
    expect(idle.rpaMethod).toMatch(/; \d+ more wrote nothing, or nothing but statistics of tables/);
    await source.run('GRANT SELECT ON marks TO PUBLIC');
    await source.run('BEGIN; INSERT INTO marks DEFAULT VALUES; ANALYZE marks; COMMIT');
    expect(recoveryOf((await runDrill(source)).evidence).lostTransactions).toBe(2);
  });

  describe('with a heartbeat table', () => {
    const beat = async (seconds: number) => {
      for (const end = Date.now() + seconds * 1000; Date.now() < end; await sleep(400)) await source.run('INSERT INTO pulse DEFAULT VALUES');
    };
    beforeAll(async () => {
      await source.run('CREATE TABLE pulse (at timestamptz NOT NULL DEFAULT clock_timestamp())');
      await reconfigure(source, (database) => { database['heartbeat'] = { table: 'public.pulse', column: 'at', every: '1s' }; });
    });

    it('agrees where both accounts are of the same loss', async () => {
      await beat(1);
      await source.archive();
      await beat(4);
      const { evidence } = await runDrill(source);
      const recovery = recoveryOf(evidence);
      expect(evidence.checks.find((check) => check.name === 'heartbeat public.pulse')).toMatchObject({ outcome: 'passed' });
      expect(recovery.rpaMethod).toContain('heartbeat table public.pulse: agrees');
      near(recovery.rpaSeconds, 4);
    });

    it('makes the run fail where the copy lacks beats that the WAL does not miss', async () => {
      await source.run(`DELETE FROM pulse WHERE at > now() - interval '60 seconds'; INSERT INTO pulse VALUES (now() - interval '60 seconds')`);
      await source.archive();
      // Beats of a time that was recovered: where the source has none from then either, its heart stood still.
      await source.run(`INSERT INTO pulse SELECT now() - interval '1 second' * ago FROM generate_series(5, 50) AS ago`);
      await beat(1);
      const { evidence, failure } = await runDrill(source);
      expect(evidence.checks.find((check) => check.name === 'heartbeat public.pulse')).toMatchObject({ outcome: 'failed', detail: expect.stringContaining('does not agree') as string });
      expect(evidence.verdict.restore).toBe('unsound');
      expect(failure).toContain('heartbeat public.pulse');
    });

    it('a heartbeat table that is not there fails the check that was asked for', async () => {
      await reconfigure(source, (database) => { database['heartbeat'] = { table: 'public.nothing', column: 'at' }; });
      const { evidence } = await runDrill(source);
      expect(evidence.checks.find((check) => check.name === 'heartbeat public.nothing')).toMatchObject({ outcome: 'failed', detail: expect.stringContaining('no heartbeat table') as string });
      await reconfigure(source, (database) => { delete database['heartbeat']; });
    });
  });

  // Last: nothing brings the source back.
  it('a dead source: counted from its disk where that is left, else from the last archived commit, and it says so', async () => {
    const recovered = await source.commit(2);
    await source.archive();
    await sleep(1500);
    const lost = await source.commit(8);
    // Without a farewell: a clean shutdown would archive its last segment.
    process.kill(source.production.pid, 'SIGQUIT');
    await source.production.stop();
    const withDisk = recoveryOf((await runDrill(source)).evidence);
    expect(withDisk.lostTransactions).toBe(8);
    near(withDisk.rpaSeconds, (lost - recovered) / 1000);
    expect(withDisk.clockSkewSeconds).toBeNull();
    expect(withDisk.rpaMethod).toMatch(/the source did not answer: .*ECONNREFUSED/);

    await rename(source.production.dataDirectory, `${source.production.dataDirectory}-gone`);
    const declaredMs = Date.now();
    const withoutDisk = recoveryOf((await runDrill(source, { declaredAt: new Date(declaredMs).toISOString() })).evidence);
    expect(withoutDisk.lostTransactions).toBeNull();
    near(withoutDisk.rpaSeconds, (declaredMs - recovered) / 1000);
    expect(withoutDisk.rpaMethod).toContain('last archived commit');
  });
});
