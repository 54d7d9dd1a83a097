import { setTimeout as sleep } from 'node:timers/promises';
import { readFile, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Client } from 'pg';
import { parse, stringify } from 'yaml';
import { startDemoEnvironment, type DemoEnvironment } from '../../scripts/demo/environment.ts';
import { archived, archiveUpToNow, closeSegment } from './wal-segments.ts';
import { withClient } from './user-clients.ts';

/** A source in which nothing commits but what the test commits, and whose WAL is archived only when the test says so. */
export interface MeasuredSource extends DemoEnvironment {
  /** Commits that many transactions, one after the other; resolves with the source's own record of when the last one was. */
  commit: (count: number) => Promise<number>;
  /** Closes the present segment and waits until it is in the archive. */
  archive: () => Promise<void>;
  /** From here on the archiver fails, until it is released. */
  holdArchiver: () => Promise<() => Promise<void>>;
  run: (sql: string) => Promise<unknown>;
}

/** Takes seconds: a whole demo is started, with its worker. `environment` is that of the database server. */
export async function startMeasuredSource(environment: Record<string, string> = {}): Promise<MeasuredSource> {
  const demo = await startDemoEnvironment({
    scale: 0.01, seed: 1, writersPerSecond: 0, log: () => undefined,
    // Autovacuum commits, and a segment that closes by itself would be archived at an unknown time.
    production: { environment, settings: { autovacuum: 'off', archive_timeout: '0', track_commit_timestamp: 'on' } },
  });
  const work = <T>(act: (client: Client) => Promise<T>) => withClient(demo.production.config, act);
  const run = (sql: string) => work((client) => client.query(sql));
  await run('CREATE TABLE marks (id bigint GENERATED ALWAYS AS IDENTITY, at timestamptz NOT NULL DEFAULT clock_timestamp())');

  return {
    ...demo, run,
    stop: () => demo.stop(),
    commit: (count) => work(async (client) => {
      let last = 0;
      for (let number = 0; number < count; number += 1) {
        const { rows: [row] } = await client.query<{ xid: string }>('INSERT INTO marks DEFAULT VALUES RETURNING xmin AS xid');
        const { rows: [time] } = await client.query<{ ms: string }>(`SELECT (extract(epoch FROM pg_xact_commit_timestamp($1)) * 1000)::text AS ms`, [row?.xid]);
        last = Number(time?.ms);
      }
      return last;
    }),
    archive: () => work((client) => archiveUpToNow(client, demo.production.archiveDirectory)),
    holdArchiver: async () => {
      await run(`ALTER SYSTEM SET archive_command = 'false'`);
      await run('SELECT pg_reload_conf()');
      // The archiver reads its settings again before its next segment, within a second of a signal.
      await sleep(1000);
      const segment = await work(closeSegment);
      return async () => {
        await run('ALTER SYSTEM RESET archive_command');
        await run('SELECT pg_reload_conf()');
        await archived(demo.production.archiveDirectory, segment);
      };
    },
  };
}

/** Changes the configuration file and nothing else, and starts the worker anew, which reads it. */
export async function reconfigure(demo: Pick<DemoEnvironment, 'configurationFile' | 'endWorker' | 'startWorker'>, change: (database: Record<string, unknown>) => void): Promise<void> {
  const configuration = parse(await readFile(demo.configurationFile, 'utf8')) as { databases: { shop: Record<string, unknown> } };
  change(configuration.databases.shop);
  await writeFile(demo.configurationFile, stringify(configuration), { mode: 0o600 });
  await demo.endWorker('SIGTERM');
  await demo.startWorker();
}

/**
 * Makes the application say when it could work again, and starts the worker anew. Resolves with how to read when the last probe was, in
 * milliseconds since 1970 and by the kernel's clock, which is right whatever time the probe is told.
 */
export async function timeProbes(source: MeasuredSource): Promise<() => Promise<number>> {
  const probed = join(source.root, 'probed');
  await reconfigure(source, (database) => { database['probe'] = { command: ['sh', '-c', `echo again > ${probed}`] }; });
  return async () => (await stat(probed)).mtimeMs;
}
