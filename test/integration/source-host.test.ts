import { cpSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { archiveProvider } from '../../activities/archive-provider/archive-provider.ts';
import { drillPlace, rememberDrill } from '../../activities/archive-provider/drill-place.ts';
import { takeBaseBackup } from '../../activities/archive/base-backup.ts';
import { archiveLayout } from '../../activities/archive/layout.ts';
import { identifyServer, type RunningServer, whatElseLiesThere } from '../../activities/archive/source-host.ts';
import type { DrillRef } from '../../activities/dr-test/drill-activities.ts';
import type { LostCommits } from '../../activities/dr-test/provider.ts';
import { classify } from '../../activities/temporal/classify.ts';
import { configurationSchema } from '../../contracts/configuration.ts';
import { describedBackup, publishDescription } from '../support/described-backup.ts';
import { type ArchivedSource, startArchivedSource } from '../support/archived-source.ts';
import { createPrivateDirectory } from '../support/postgres.ts';

let source: ArchivedSource;
let server: RunningServer;

beforeAll(async () => {
  source = await startArchivedSource();
  server = await source.server.withClient('postgres', identifyServer);
});
afterAll(() => source.server.stop());

/** What another host has at the same path: the source's files, changed. */
function elsewhere(change: (directory: string) => void): RunningServer {
  const dataDirectory = createPrivateDirectory('elsewhere');
  mkdirSync(join(dataDirectory, 'global'));
  for (const file of ['global/pg_control', 'postmaster.pid']) cpSync(join(server.dataDirectory, file), join(dataDirectory, file));
  change(dataDirectory);
  return { ...server, dataDirectory };
}
const lines = (directory: string, change: (all: string[]) => void) => {
  const all = readFileSync(join(directory, 'postmaster.pid'), 'utf8').split('\n');
  change(all);
  writeFileSync(join(directory, 'postmaster.pid'), all.join('\n'));
};
const control = (directory: string, offset: number, value: number) => {
  const bytes = readFileSync(join(directory, 'global/pg_control'));
  bytes.writeUInt8(value, offset);
  writeFileSync(join(directory, 'global/pg_control'), bytes);
};

test('the source\'s own files are known as such, also after it took long to start', async () => {
  expect(await whatElseLiesThere(server)).toBeNull();
  expect(await whatElseLiesThere(elsewhere((directory) => lines(directory, (all) => { all[2] = String(Number(all[2]) - 20); })))).toBeNull();
});

test.each<[string, () => RunningServer, RegExp]>([
  ['nothing', () => ({ ...server, dataDirectory: '/var/lib/nowhere' }), /^the source's data directory \/var\/lib\/nowhere is not on this host, or no server runs on it here \(there is no \/var\/lib\/nowhere\/global\/pg_control\)$/],
  ['another cluster', () => elsewhere((directory) => control(directory, 0, readFileSync(join(directory, 'global/pg_control')).readUInt8(0) ^ 1)), /is another cluster's on this host \(system identifier \d+, and the source's is \d+\)$/],
  ['a server of the same cluster that started later', () => elsewhere((directory) => lines(directory, (all) => { all[2] = String(Number(all[2]) + 600); })), /is that of another server of the same cluster.*started at/],
  ['a server of the same cluster that started earlier', () => elsewhere((directory) => lines(directory, (all) => { all[2] = String(Number(all[2]) - 3600); })), /is that of another server of the same cluster.*started at/],
  ['a server of the same cluster on another port', () => elsewhere((directory) => lines(directory, (all) => { all[3] = '1'; })), /is that of another server of the same cluster.*on port 1;/],
  ['a standby that started with it', () => elsewhere((directory) => control(directory, 16, 5)), /such as a standby/],
  ['an empty postmaster.pid', () => elsewhere((directory) => lines(directory, (all) => { all.length = 0; })), /a postmaster\.pid that says nothing/],
])('%s at its path is named', async (_, there, sentence) => {
  expect(await whatElseLiesThere(there())).toMatch(sentence);
});

test('a base backup of them is refused before the source is asked for a checkpoint, and not tried again', async () => {
  const checkpoint = () => source.server.withClient('postgres', async (client) => ((await client.query('SELECT redo_lsn::text AS redo FROM pg_control_checkpoint()')).rows[0] as { redo: string }).redo);
  const incoming = join(source.layout.incoming, 'foreign');
  mkdirSync(incoming);
  const [before, pidFile] = [await checkpoint(), readFileSync(join(server.dataDirectory, 'postmaster.pid'), 'utf8')];
  try {
    lines(server.dataDirectory, (all) => { all[2] = String(Number(all[2]) - 3600); });
    const failure = await takeBaseBackup({ id: 'b', connection: source.server.config(), applicationName: 'test', incoming, walDirectory: source.layout.wal, archiveTimeoutMs: 20_000 }).catch((error: unknown) => error);
    expect(classify(failure)).toMatchObject({ type: 'PREFLIGHT', nonRetryable: true, message: expect.stringMatching(/another server of the same cluster.*; run the worker on the source's host\.$/) as string });
    expect(await checkpoint()).toBe(before);
  } finally {
    writeFileSync(join(server.dataDirectory, 'postmaster.pid'), pidFile);
  }
});

describe('of a source that is dead', () => {
  let endLsn: string;
  let walSegmentSize: number;
  let dead: string;
  beforeAll(async () => {
    ({ lsn: endLsn, size: walSegmentSize } = await source.server.withClient('postgres', async (client) => {
      const { rows: [row] } = await client.query<{ lsn: string; size: number }>(`SELECT pg_current_wal_flush_lsn()::text AS lsn, pg_size_bytes(current_setting('wal_segment_size'))::int AS size`);
      await client.query('CREATE TABLE lost ()');
      return row!;
    }));
    dead = createPrivateDirectory('dead');
    for (const part of ['global', 'pg_wal']) cpSync(join(server.dataDirectory, part), join(dead, part), { recursive: true });
  });

  /** Counts what was lost, where this lies at the source's path and the archive is empty. */
  const lost = async (change: (directory: string) => void, { timeline = 1, archive = () => undefined as unknown }: { timeline?: number; archive?: (walDirectory: string) => unknown } = {}): Promise<LostCommits> => {
    const repository = createPrivateDirectory('repository');
    const dataDirectory = join(repository, 'data');
    cpSync(dead, dataDirectory, { recursive: true });
    change(dataDirectory);
    const layout = archiveLayout({ root: repository });
    mkdirSync(layout.wal);
    archive(layout.wal);
    publishDescription(layout.backups, describedBackup({ systemIdentifier: server.systemIdentifier, walSegmentSize, sourceDataDirectory: dataDirectory, timeline }));
    const configuration = configurationSchema.parse({ version: 1, drills: { directory: repository }, databases: { shop: { connection: {}, provider: { kind: 'archive', repository, walDirectory: layout.wal } } } });
    const drill = { database: 'shop', owner: { workflowId: 'w', firstExecutionRunId: 'r' }, fence: 1, recoveryPointId: 'b1' } as DrillRef;
    const place = drillPlace(repository, drill);
    mkdirSync(place.directory, { recursive: true });
    await rememberDrill(place, { drill: {}, wal: { nextXid: null } } as never);
    // WAL is large: it does not wait for the end of the process.
    return archiveProvider({ settings: configuration.databases['shop']!, configuration })
      .lostCommits(drill, { endLsn, until: new Date(Date.now() + 3_600_000), source: null, signal: new AbortController().signal })
      .finally(() => rmSync(repository, { recursive: true }));
  };
  const touch = (...path: string[]) => writeFileSync(join(...path), '');

  test.each<[string, (directory: string) => void]>([
    ['as it died', () => undefined],
    ['when it was being recovered from its crash', (directory) => control(directory, 16, 4)],
  ])('its own disk is read, %s', async (_, change) => {
    expect(await lost(change)).toMatchObject({ commits: 1, knownFrom: 'disk', unread: null });
  });

  test.each<[string, (directory: string) => void, RegExp]>([
    ['a standby', (directory) => touch(directory, 'standby.signal'), /^the source's data directory .* is that of a standby on this host$/],
    ['a copy that is being recovered', (directory) => touch(directory, 'recovery.signal'), /standby/],
    ['a standby that was stopped', (directory) => control(directory, 16, 2), /standby/],
    ['a standby that runs', (directory) => control(directory, 16, 5), /standby/],
    ['another cluster', (directory) => control(directory, 0, readFileSync(join(directory, 'global/pg_control')).readUInt8(0) ^ 1), /another cluster's on this host/],
    ['nothing', (directory) => rmSync(directory, { recursive: true }), /is not on this host \(there is no .*pg_control\)$/],
    ['what we may not read', (directory) => { rmSync(directory, { recursive: true }); touch(directory); }, /cannot be read on this host \(ENOTDIR\)$/],
    ['WAL that we may not read', (directory) => { rmSync(join(directory, 'pg_wal'), { recursive: true }); touch(directory, 'pg_wal'); }, /^the WAL of the source in .*pg_wal cannot be read on this host \(ENOTDIR\)$/],
  ])('the loss is known from the archive only where %s lies at its path, and that is said', async (_, change, sentence) => {
    expect(await lost(change)).toMatchObject({ knownFrom: 'archive', unread: expect.stringMatching(sentence) as string });
  });

  test('a history that is gone from the archive since makes the loss unknown, and the restore no worse; one that cannot be read is tried again', async () => {
    expect(await lost(() => undefined, { timeline: 2 })).toMatchObject({ knownFrom: 'archive', unread: expect.stringContaining('cannot give 00000002.history') as string });
    const failure = await lost(() => undefined, { timeline: 2, archive: (directory) => mkdirSync(join(directory, '00000002.history')) }).catch((error: unknown) => error);
    expect(failure).toMatchObject({ code: 'EISDIR' });
    expect(failure).toMatchObject({ code: 'EISDIR' });
    expect(classify(failure)).toBe(failure);
  });

  test('an archive that cannot be read is tried again', async () => {
    await expect(lost(() => undefined, { archive: (directory) => { rmSync(directory, { recursive: true }); touch(directory); } })).rejects.toMatchObject({ code: 'ENOTDIR' });
  });
});
