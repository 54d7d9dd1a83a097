import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { addsUp, near, recoveryOf } from '../support/measurements.ts';
import { runDrill, takeBackup } from '../support/drill-run.ts';
import { type MeasuredSource, startMeasuredSource } from '../support/measured-source.ts';
import { skewedClock } from '../support/skewed-clock.ts';

type Environment = Record<string, string>;

/** A source with a backup, for the tests of one suite; undefined where this host cannot skew a clock. `environment` skews that of a process. */
function backedUp(start: (environment: Environment) => Promise<MeasuredSource>, afterBackup?: (source: MeasuredSource, environment: Environment) => Promise<void>): () => MeasuredSource | undefined {
  let directory: string;
  let source: MeasuredSource | undefined;
  beforeAll(async () => {
    directory = await mkdtemp(join(tmpdir(), 'skew-'));
    const environment = await skewedClock(directory, 9);
    if (environment === undefined) return;
    source = await start(environment);
    await takeBackup(source);
    await afterBackup?.(source, environment);
  });
  afterAll(async () => {
    await source?.stop();
    await rm(directory, { recursive: true, force: true });
  });
  return () => source;
}

describe('a source whose clock is nine seconds ahead', () => {
  const sourceOf = backedUp((environment) => startMeasuredSource(environment));

  it('states the skew, and neither loses sight of commits nor counts later ones', async ({ skip }) => {
    const source = sourceOf();
    if (!source) return skip('this host has no C compiler to skew the clock of a server with');
    const recovered = await source.commit(2);
    await source.archive();
    await sleep(2000);
    const lost = await source.commit(5);
    await sleep(500);
    const declaredMs = Date.now();
    await sleep(500);
    await source.commit(3);
    expect(recovered - Date.now(), 'the clock is skewed').toBeGreaterThan(3000);
    const { evidence } = await runDrill(source, { declaredAt: new Date(declaredMs).toISOString() });
    const recovery = recoveryOf(evidence);
    near(recovery.clockSkewSeconds, 9);
    expect(recovery.lostTransactions).toBe(5);
    near(recovery.rpaSeconds, (lost - recovered) / 1000);
    addsUp(evidence);
  });
});

describe('a host of drills whose clock is nine seconds ahead of Temporal and of the source', () => {
  const sourceOf = backedUp(() => startMeasuredSource(), async (source, environment) => {
    await source.endWorker('SIGTERM');
    Object.assign(process.env, environment);
    await source.startWorker().finally(() => { for (const name of Object.keys(environment)) delete process.env[name]; });
  });

  it('counts up to the start of the run all the same, which is the time of Temporal', async ({ skip }) => {
    const source = sourceOf();
    if (!source) return skip('this host has no C compiler to skew the clock of a worker with');
    const recovered = await source.commit(2);
    await source.archive();
    await sleep(2000);
    const lost = await source.commit(5);
    await sleep(200);
    const { evidence } = await runDrill(source);
    const recovery = recoveryOf(evidence);
    near(recovery.hostClockSkew?.seconds ?? null, 9);
    near(recovery.clockSkewSeconds, -9);
    expect(recovery.lostTransactions).toBe(5);
    near(recovery.rpaSeconds, (lost - recovered) / 1000);
  });

  it('restores what it published itself right before, which it says was after the start of the run', async ({ skip }) => {
    const source = sourceOf();
    if (!source) return skip('this host has no C compiler to skew the clock of a worker with');
    const { id } = await takeBackup(source);
    const { evidence } = await runDrill(source);
    expect(recoveryOf(evidence).recoveryPoint.id).toBe(id);
  });
});
