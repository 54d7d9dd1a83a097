import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import type { DBInstance } from '@aws-sdk/client-rds';
import { unlessAborted } from '../../../scripts/demo/until-stopped.ts';
import { archiveUntilNow, withMaster } from '../../support/aws-lab-rds.ts';
import { startRdsEnvironment, type RdsEnvironment } from '../../support/rds-environment.ts';
import type { Scene } from '../scene.ts';
import { readAccount, type Account } from './account.ts';
import { callProblems } from './calls.ts';
import { lingerAt } from './linger.ts';
import { lossProblems, loseSome } from './losses.ts';
import { plantStrangers } from './strangers.ts';

/** A lab RDS with a source, with what is not ours in the same account, and a worker. */
export interface RdsScene extends Scene {
  readonly rds: RdsEnvironment;
  /** A snapshot of the source. */
  readonly snapshot: string;
  /** What cases have planted themselves, by the names of {@link Account}; each takes it away again. */
  readonly planted: Set<string>;
}

/** What nobody can verify on RDS, as evidence says it. */
const BY_DESIGN = /^(failover: |files: |settings: |warmth: |entries of indexes: |(template[01]|rdsadmin), contents: |\w+, what was committed after the manifest |\w+, position of sequence \S+: (it has started anew since |the source has dropped it since the manifest|it was UNLOGGED at the instant of the copy)|\w+, contents of \S+: (neither the copy nor the source has a table of this name|the source has another one of this name by now|the source has dropped or renamed it since the manifest|the copy has it (as|without contents)|it was UNLOGGED at the instant of the copy)|what a disaster at \S+ would have lost: )/;

/** Long enough that a fault finds RDS at work. */
const DURATIONS = { restore: 1_500, modify: 600, delete: 1_200 };

/**
 * Ready for faults: with rows, a manifest, a snapshot, and what only looks like ours. Leaves
 * nothing where it throws, or `signal` is aborted.
 */
export async function startRdsScene(log: (line: string) => void, signal?: AbortSignal): Promise<RdsScene> {
  const rds = await startRdsEnvironment({
    ...(signal && { signal }),
    root: { lease: { maximum: '30m', hostLoss: '12s' } },
    shop: {
      gates: { start: { approvers: ['anna'], assurance: 'claimed', expiresAfter: '1h' } },
      // Slow where a fault must find the time to strike.
      checks: [{ name: 'a slow look', sql: 'SELECT count(*) FROM pg_sleep(1)', expect: 1 }],
      probe: { command: ['sleep', '1'] },
    },
  });
  const stop = () => rds.stop();
  try {
    await withMaster(rds.source, (client) => client.query(`
      CREATE TABLE orders (id int PRIMARY KEY, total numeric NOT NULL, note text) WITH (autovacuum_enabled = off); INSERT INTO orders SELECT g, g * 1.5, 'order ' || g FROM generate_series(1, 20000) g`));
    const { failure } = await unlessAborted(signal, rds.run('manifest'));
    if (failure !== undefined) throw new Error(failure);
    await withMaster(rds.source, (client) => client.query(`UPDATE orders SET note = 'changed' WHERE id % 100 = 0`));
    const snapshot = await rds.lab.control.automatedSnapshot('shop-prod');
    await plantStrangers(rds.rds, 'shop-prod');
    await archiveUntilNow(rds, 'shop-prod');
    await rds.lab.control.archive({ paused: true });
    await loseSome(rds.source);
    await rds.lab.control.durations(DURATIONS);
    const drillsIn = (name: string) => name.includes('runbooks-d-') && !name.includes('0badc0de');
    const account = () => readAccount(rds.rds, rds.lab.control);
    const only = (all: Account, wanted: (name: string) => boolean): Account => Object.fromEntries(Object.entries(all).filter(([name]) => wanted(name)));
    const evidenceDirectory = join(rds.root, 'evidence');
    const scene: RdsScene = {
      rds, snapshot, planted: new Set(), client: rds.client, evidenceDirectory, byDesign: BY_DESIGN,
      worker: rds.worker, startWorker: () => rds.startWorker(), stop,
      readOthers: async () => only(await account(), (name) => !drillsIn(name)),
      async findLeftovers(run) {
        // Of this run: a worker that was woken may still write that of the one before.
        const halfWritten = (await readdir(evidenceDirectory).catch(() => [])).filter((name) => name.endsWith('.part') && name.startsWith(run.owner.workflowId.replaceAll('/', '_')));
        const drills = Object.keys(only(await account(), drillsIn)).filter((name) => !scene.planted.has(name));
        return [...drills, ...halfWritten.map((name) => `half-written ${name}`), ...await sessionsAtSource(rds.source)];
      },
      watch: () => watchCalls(rds, scene.planted),
      isUnderWay: () => true,
      linger: (point) => lingerAt(rds.lab.control, point),
      hasten: () => rds.lab.control.clearFaults(),
      evidenceProblems: (run) => lossProblems(evidenceDirectory, run, rds.source),
    };
    log('a lab RDS with its source and strangers is up');
    return scene;
  } catch (error) {
    await stop();
    throw error;
  }
}

/** All that is asked of RDS from now on, but for what we plant and take away. */
function watchCalls({ lab }: RdsEnvironment, planted: ReadonlySet<string>) {
  const begun = new Date().toISOString();
  let said: Promise<string[]> | undefined;
  return {
    stop: () => (said ??= (async () => {
      const calls = (await lab.control.calls()).filter(({ at, action, identifiers }) => at >= begun && !(/^(Create|Delete)DBInstance$/.test(action) && identifiers['DBInstanceIdentifier']?.some((name) => planted.has(`RDS instance ${name}`))));
      return callProblems(calls, (name) => /^runbooks-d-[0-9a-f]{8}-\d+$/.test(name) && !name.includes('0badc0de'));
    })()),
  };
}

async function sessionsAtSource(source: DBInstance): Promise<string[]> {
  const { rows } = await withMaster(source, (client) => client.query<{ what: string }>(`SELECT 'session ' || application_name AS what FROM pg_stat_activity WHERE application_name LIKE 'runbook%'`));
  return rows.map(({ what }) => what);
}
