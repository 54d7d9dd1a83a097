import { cpSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { takeBaseBackup } from '../../activities/archive/base-backup.ts';
import { identifyServer, type RunningServer, whatElseLiesThere } from '../../activities/archive/source-host.ts';
import { classify } from '../../activities/temporal/classify.ts';
import { type ArchivedSource, startArchivedSource } from '../support/archived-source.ts';
import { createPrivateDirectory } from '../support/postgres.ts';

let source: ArchivedSource;
let server: RunningServer;

beforeAll(async () => {
  source = await startArchivedSource();
  server = await source.server.withClient('postgres', identifyServer);
}, 60_000);
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
