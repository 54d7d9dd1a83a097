import { BY_DESIGN } from '../support/by-design.ts';
import { readFile, readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { evidenceSchema, type Evidence } from '../../contracts/evidence.ts';
import { manifestSchema, type Manifest } from '../../contracts/manifest.ts';
import { parseLsn } from '../../activities/postgres/lsn.ts';
import { archiveLayout, readRecoveryPoint } from '../../activities/archive/layout.ts';
import { startDemoEnvironment, type DemoEnvironment } from '../../scripts/demo/environment.ts';
import { writerKindNames } from '../../scripts/demo/writers.ts';
import { runDrill, takeBackup } from '../support/drill-run.ts';
import { loggedTablesAt, readLoggedTables } from './logged-tables.ts';
import { raceKinds, raceSchema, startRacers, type Race, type RaceKind } from './racers.ts';
import { withClient } from '../support/user-clients.ts';

/** One healthy drill, and what raced its manifest. */
export interface SoakDrill {
  outcome: Evidence['outcome'];
  verdict: Evidence['verdict']['restore'];
  /** Why it is not as it should be; empty for a good one. */
  problems: string[];
  lsn: string;
  tablesAtSource: number;
  tablesCompared: number;
  /** Operations that met the manifest, as `racesWithin` counts them. */
  races: Record<RaceKind, number>;
  attempts: number;
  seconds: number;
}

/**
 * How long a racer rests on average. A table that is rewritten every few milliseconds lets no reading finish, and the
 * backup then gives up cleanly: that is right, and not what is to be shown here.
 */
const PAUSE_MS = 200;

/** The same seed races and draws in the same way, as far as the machine lets it. An abort ends all that was started. */
export interface SoakOptions { drills: number; seed: number; log: (line: string) => void; signal?: AbortSignal }

/** Runs healthy drills through the workflows, each with a backup and a position of its own, while everything races the manifest. */
export async function soak({ drills, seed, log, signal }: SoakOptions): Promise<SoakDrill[]> {
  // The demo's own making and dropping of tables would make their number at a position a guess.
  const kinds = writerKindNames.filter((name) => name !== 'createTable' && name !== 'dropTable');
  const demo = await startDemoEnvironment({ scale: 0.02, seed, writersPerSecond: 100, writerKinds: kinds, log, ...(signal && { signal }) });
  const results: SoakDrill[] = [];
  signal?.addEventListener('abort', () => void demo.stop(), { once: true });
  try {
    await withClient(demo.production.config, (client) => client.query(raceSchema));
    const constant = await readLoggedTables(demo.production.config);
    log(`${constant.size} logged tables, and those that come and go`);
    const racers = await startRacers({ config: demo.production.config, seed, pauseMs: PAUSE_MS });
    try {
      for (let number = 1; number <= drills && signal?.aborted !== true; number += 1) {
        const drill = await soakOnce(demo, constant, racers.log).catch((error: Error) => failed(error));
        results.push(drill);
        log(`drill ${number}: ${describe(drill)}`);
        racers.log.length = 0;
      }
    } finally {
      await racers.stop();
    }
    return results;
  } finally {
    await demo.stop();
  }
}

async function soakOnce(demo: DemoEnvironment, constant: ReadonlySet<string>, log: readonly Race[]): Promise<SoakDrill> {
  const started = performance.now();
  const backup = await takeBackup(demo);
  const taken = evidenceSchema.parse(JSON.parse(await readFile(backup.evidence, 'utf8')));
  if (backup.manifest === null) return withoutManifest(taken.notVerified);
  const step = taken.steps.find(({ name }) => name === 'manifest');
  const read = { fromMs: Date.parse(step?.startedAt ?? ''), untilMs: Date.parse(step?.finishedAt ?? '') };
  const manifest = manifestSchema.parse(JSON.parse(await readFile(join(demo.repository, 'backups', backup.id, 'manifest.json'), 'utf8')));
  const shop = shopOf(manifest);
  const { evidence, failure } = await runDrill(demo);
  const tablesAtSource = loggedTablesAt(manifest, 'shop', constant.size);
  const contents = evidence.checks.find((check) => check.name === 'contents of shop');
  const tablesCompared = Number(/ in (\d+) tables/.exec(contents?.detail ?? '')?.[1] ?? 0);
  const held = new Set(shop.tables.map((table) => labelOf(table.schema, table.name)));
  const problems = [
    ...(evidence.outcome === 'succeeded' ? [] : [`${evidence.outcome}: ${failure ?? 'no reason'}`]),
    ...(evidence.verdict.restore === 'sound' ? [] : [`restore is ${evidence.verdict.restore}`]),
    ...(tablesCompared === tablesAtSource ? [] : [`${tablesCompared} tables compared, ${tablesAtSource} logged ones at the source`]),
    ...[...constant].filter((name) => !held.has(unquoted(name))).map((name) => `${name} is not in the manifest`),
    ...evidence.notVerified.filter((what) => !BY_DESIGN.test(what)).map((what) => `not verified: ${what}`),
    ...evidence.checks.filter((check) => check.outcome === 'failed').map((check) => `${check.name}: ${check.detail}`),
    ...(evidence.teardown.provenAbsent ? [] : ['something is left of the drill']),
  ];
  await forget(demo, backup.id);
  return {
    outcome: evidence.outcome, verdict: evidence.verdict.restore, problems, lsn: shop.lsn, tablesAtSource, tablesCompared,
    races: racesWithin(log, parseLsn(shop.lsn), read), attempts: manifest.cost.attempts, seconds: (performance.now() - started) / 1000,
  };
}

/** A manifest that would cost the source too much is given up. That is a finding here, where nothing is to hold one up. */
const withoutManifest = (notVerified: readonly string[]): SoakDrill => ({ ...notDrilled(notVerified.filter((what) => !BY_DESIGN.test(what))), verdict: 'notProven' });

/** A drill that could not even be looked at. */
const failed = (error: Error): SoakDrill => notDrilled([error.cause instanceof Error ? error.cause.message : error.message]);

function notDrilled(problems: string[]): SoakDrill {
  return { outcome: 'failed', verdict: null, problems, lsn: '', tablesAtSource: 0, tablesCompared: 0, races: racesWithin([], 0n, { fromMs: 0, untilMs: 0 }), attempts: 0, seconds: 0 };
}

/**
 * Counts the operations that really met the manifest: those after its position, which its reading could have seen, and those across it.
 * What puts sequences back meets it while the position is waited for, after they were first read.
 */
export function racesWithin(log: readonly Race[], lsn: bigint, read: { fromMs: number; untilMs: number }): Record<RaceKind, number> {
  const counts = Object.fromEntries(raceKinds.map((kind) => [kind, 0])) as Record<RaceKind, number>;
  for (const race of log) {
    const afterwards = race.fromLsn >= lsn && race.endedAtMs <= read.untilMs;
    const across = race.fromLsn < lsn && race.toLsn > lsn;
    const before = race.startedAtMs >= read.fromMs && race.toLsn <= lsn;
    if (across || (race.kind === 'restartedSequence' ? before : afterwards)) counts[race.kind] += 1;
  }
  return counts;
}

function shopOf(manifest: Manifest): Manifest['databases'][number] {
  const found = manifest.databases.find((entry) => entry.database === 'shop');
  if (!found) throw new Error('the manifest has no database shop');
  return found;
}

/** Names without quotes and without the schema that regclass leaves out: enough to tell the shop's tables apart. */
const unquoted = (name: string) => name.replaceAll('"', '');
const labelOf = (schema: string, name: string) => (['public', 'pg_catalog'].includes(schema) ? name : `${schema}.${name}`);

/** Many backups of one soak would fill the disk: takes the backup away, and the WAL that only it needed. */
async function forget(demo: DemoEnvironment, id: string): Promise<void> {
  const point = await readRecoveryPoint({ layout: archiveLayout({ root: demo.repository }), id });
  const label = await readFile(join(demo.repository, 'backups', id, 'backup_label'), 'utf8');
  const first = /\(file ([0-9A-F]{24})\)/.exec(label)?.[1];
  if (first === undefined) throw new Error(`nothing says where backup ${point.id} began`);
  await rm(join(demo.repository, 'backups', id), { recursive: true });
  for (const name of await readdir(demo.production.archiveDirectory)) {
    if (/^[0-9A-F]{24}$/.test(name) && name < first) await rm(join(demo.production.archiveDirectory, name));
  }
}

function describe(drill: SoakDrill): string {
  const races = raceKinds.map((kind) => `${kind} ${drill.races[kind]}`).join(', ');
  return `${drill.problems.length === 0 ? 'sound' : drill.problems.join('; ')}, ${drill.tablesCompared}/${drill.tablesAtSource} tables at ${drill.lsn}, attempt ${drill.attempts}, ${drill.seconds.toFixed(1)} s; ${races}`;
}
