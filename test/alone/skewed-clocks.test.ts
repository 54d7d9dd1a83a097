import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Recovery } from '../../contracts/evidence.ts';
import { addsUp, near, phase, recoveryOf } from '../support/measurements.ts';
import { runDrill, takeBackup } from '../support/drill-run.ts';
import { type MeasuredSource, startMeasuredSource, timeProbes } from '../support/measured-source.ts';
import { skewedClock } from '../support/skewed-clock.ts';

type Environment = Record<string, string>;
/** `probedAt`: when the restored copy was last used, by a clock that is right. */
type Timed = MeasuredSource & { probedAt: () => Promise<number> };

/** A source with a backup, for the tests of one suite; undefined where this host cannot skew a clock. `environment` skews that of a process. */
function backedUp(start: (environment: Environment) => Promise<MeasuredSource>, afterBackup?: (source: MeasuredSource, environment: Environment) => Promise<void>): () => Timed | undefined {
  let directory: string;
  let source: MeasuredSource | undefined;
  let probedAt: Timed['probedAt'];
  beforeAll(async () => {
    directory = await mkdtemp(join(tmpdir(), 'skew-'));
    const environment = await skewedClock(directory, 9);
    if (environment === undefined) return;
    source = await start(environment);
    probedAt = await timeProbes(source);
    await takeBackup(source);
    await afterBackup?.(source, environment);
  });
  afterAll(async () => {
    await source?.stop();
    await rm(directory, { recursive: true, force: true });
  });
  return () => source && { ...source, probedAt };
}

/** Drills, and compares the time it took, and what can be seen of its phases from outside, with this process's own clock, which nobody skews. */
async function timedDrill(source: Timed, declaredMs?: number): Promise<Recovery> {
  let openedMs = 0;
  let approvedMs = 0;
  const askedMs = Date.now();
  const { evidence } = await runDrill(source, declaredMs === undefined ? {} : { declaredAt: new Date(declaredMs).toISOString() }, {
    holdGateMs: 1200, atGate: async () => { openedMs = Date.now(); }, atApproval: () => { approvedMs = Date.now(); },
  });
  const recovery = recoveryOf(evidence);
  near(recovery.rtaSeconds, (await source.probedAt() - (declaredMs ?? askedMs)) / 1000);
  near(phase(recovery, 'detection'), declaredMs === undefined ? 0 : (askedMs - declaredMs) / 1000);
  near(phase(recovery, 'human wait'), (approvedMs - openedMs) / 1000);
  addsUp(evidence);
  return recovery;
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
    // For longer than a measurement may be off: a declaration by the source's clock would lie after the start, and count from there.
    await sleep(1500);
    await source.commit(3);
    expect(recovered - Date.now(), 'the clock is skewed').toBeGreaterThan(3000);
    const recovery = await timedDrill(source, declaredMs);
    near(recovery.clockSkewSeconds, 9);
    expect(recovery.lostTransactions).toBe(5);
    near(recovery.rpaSeconds, (lost - recovered) / 1000);
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
    const recovery = await timedDrill(source);
    near(recovery.hostClockSkew?.seconds ?? null, 9);
    near(recovery.clockSkewSeconds, -9);
    expect(recovery.lostTransactions).toBe(5);
    near(recovery.rpaSeconds, (lost - recovered) / 1000);
  });

  it('restores what it published itself right before, which it says was after the start of the run', async ({ skip }) => {
    const source = sourceOf();
    if (!source) return skip('this host has no C compiler to skew the clock of a worker with');
    const { id } = await takeBackup(source);
    expect((await timedDrill(source)).recoveryPoint.id).toBe(id);
  });
});
