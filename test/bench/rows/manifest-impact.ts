import { randomBytes } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { databaseSchema } from '../../../contracts/configuration.ts';
import { takeManifest } from '../../../activities/manifest/take-manifest.ts';
import type { Production } from '../../../scripts/demo/production.ts';
import { interleave } from '../interleave.ts';
import { startLoad } from '../load/client.ts';
import { ratioOutcome } from '../outcome.ts';
import { execute } from '../stage/run.ts';
import { withClient } from '../../support/user-clients.ts';
import { bySecond, median, percentile } from '../statistics.ts';
import type { RowGroup } from './row.ts';

const SHARE_OF_SUSTAINABLE = 0.6;
const CONNECTIONS = 8;
const now = (): number => performance.timeOrigin + performance.now();

/**
 * What a manifest costs those who write meanwhile. First the sustainable load is measured: what as many connections get done back to
 * back. Then operations fall due at random instants at 60 % of it, and count from when they were due, so that a stall is
 * felt by all that queue up behind it. Windows with and without a manifest take turns. As it spares who writes, a manifest of a
 * gigabyte is read in four minutes, ten windows of which would take forty: a window holds its beginning, which is what asks most of
 * the server (a snapshot, all catalogs, the locks of all tables), and goes on into its reading; then the manifest is given up.
 * The manifest is taken as the role that the how-to "Drill your own database" makes.
 *
 * A window counts with the p95 of all its operations, and is judged against its neighbour: a disk that stalls for two of
 * thirty seconds makes more than 5 % late. A checkpoint does that too (80 to 1006 ms were measured without any manifest),
 * so that none falls into a window. The median of each second's p95, which such stalls do not move, is given beside it.
 */
export const manifestImpact: RowGroup = {
  names: ['manifestImpact'],
  async measure({ site, settings }) {
    const production = await site.source('busy');
    const load = await startLoad({ config: production.config, connections: CONNECTIONS, seed: 1 });
    try {
      const reader = await prepare(production);
      const before = () => settle(production);
      // The first one fills caches and writes the full pages that follow a checkpoint.
      await load.saturate(settings.windowSeconds);
      const sustainable = await load.saturate(settings.windowSeconds);
      const rate = sustainable * SHARE_OF_SUSTAINABLE;
      site.log(`  sustainable ${sustainable.toFixed(0)} operations/s, going on with ${rate.toFixed(0)}`);
      const windowMs = settings.windowSeconds * 3_000;
      let begun = 0;
      let reading = Promise.resolve();
      const kept: number[] = [];
      const seconds = { with: [] as number[], without: [] as number[] };
      const measured = async (name: keyof typeof seconds, during: () => Promise<void>): Promise<number> => {
        await load.pace(rate);
        // Let the queue of the first moment go.
        await sleep(1000);
        const from = now();
        await during();
        const to = now();
        const operations = (await load.rest()).filter(([dueAt]) => dueAt >= from && dueAt < to);
        kept.push(operations.length / (rate * ((to - from) / 1000)));
        seconds[name].push(median(bySecond(operations, { from, to }).map((latencies) => percentile(latencies, 0.95))));
        return percentile(operations.map(([, latency]) => latency), 0.95);
      };
      const samples = await interleave([
        { name: 'with', before, after: () => reading, run: () => measured('with', async () => {
          const over = AbortSignal.timeout(windowMs);
          reading = readUntil(over, () => { begun += 1; return manifestOf(production, reader, over); });
          // Until it is given up, and not until it has tidied up after that: there is none of it in a window without.
          await Promise.race([reading, sleep(windowMs)]);
        }) },
        { name: 'without', before, run: () => measured('without', async () => { await sleep(windowMs); }) },
      ], { repetitions: settings.repetitions, onSample: (name, repetition, value) => site.log(`  ${name} ${repetition}: p95 ${value.toFixed(2)} ms, median of its seconds' ${seconds[name as keyof typeof seconds].at(-1)?.toFixed(2)} ms`) });
      return [ratioOutcome('manifestImpact', { name: 'with', samples: samples.get('with') ?? [] }, { name: 'without', samples: samples.get('without') ?? [] }, {
        unit: 'ms', paired: true,
        notes: [`p95 of all operations of a window, from when they were due, against that of the window beside it; median of each second's p95: with ${median(seconds.with).toFixed(2)} ms, without ${median(seconds.without).toFixed(2)} ms; sustainable ${sustainable.toFixed(0)}/s, load ${rate.toFixed(0)}/s, of which ${(median(kept) * 100).toFixed(0)} % came; ${begun} manifests begun in ${settings.repetitions} windows of ${windowMs / 1000} s`],
      })];
    } finally {
      await load.end();
    }
  },
};

interface Reader { user: string; password: string }

/** Makes the role that reads; and no checkpoint comes but ours. */
async function prepare(production: Production): Promise<Reader> {
  const reader = { user: 'runbook', password: randomBytes(18).toString('base64url') };
  await order(production, [
    `CREATE ROLE ${reader.user} LOGIN REPLICATION BYPASSRLS PASSWORD '${reader.password}'`,
    `GRANT pg_read_all_data, pg_read_all_settings TO ${reader.user}`,
    `GRANT EXECUTE ON FUNCTION pg_create_restore_point TO ${reader.user}`,
    "ALTER SYSTEM SET checkpoint_timeout = '1h'",
    "ALTER SYSTEM SET max_wal_size = '64GB'",
    'SELECT pg_reload_conf()',
  ]);
  await settle(production);
  return reader;
}

/** Every window begins after a checkpoint, with the full pages that then go to the WAL, and has none in it. */
async function settle(production: Production): Promise<void> {
  await order(production, ['CHECKPOINT']);
  await execute('sync', []);
}

/** One by one: together they would be a transaction, in which some of them are refused. */
function order({ config }: Production, statements: readonly string[]): Promise<void> {
  return withClient(config, async (client) => { for (const statement of statements) await client.query(statement); });
}

/** Takes one after the other until the window is over. @throws what a manifest fails with before that */
async function readUntil(over: AbortSignal, take: () => Promise<void>): Promise<void> {
  while (!over.aborted) {
    await take().catch((error: unknown) => { if (!over.aborted) throw error; });
  }
}

/** As the activity takes it, with what the configuration gives when it says nothing. */
async function manifestOf({ config, database, port }: Production, reader: Reader, signal: AbortSignal): Promise<void> {
  const { manifest: limits } = databaseSchema.parse({ connection: {}, provider: { kind: 'archive', repository: '/', walDirectory: '/' } });
  const manifest = await takeManifest({
    connect: (name) => ({ host: '127.0.0.1', port, ...reader, database: name }), databases: [database], applicationName: 'bench manifest',
    signal,
    limits: { connections: limits.connections, statementTimeoutMs: limits.statementTimeout, lockTimeoutMs: limits.lockTimeout, maxBlockingMs: limits.maxBlocking, maxXminAgeMs: limits.maxXminAge, maxRetainedWalBytes: limits.maxRetainedWal, dutyCycle: limits.dutyCycle },
  });
  if (!manifest.databases[0]?.tables.length) throw new Error(`the manifest of ${database} at ${config.host} has no tables`);
}
