import { readdir, rm, mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Client } from '@temporalio/client';
import { Backup, ManifestRunbook } from '../../contracts/backup.ts';
import { guardianId, lockId } from '../../contracts/guardian.ts';
import { damageBackup, readColdTables } from '../../scripts/demo/damage.ts';
import { startDemoEnvironment, type DemoEnvironment } from '../../scripts/demo/environment.ts';
import { collect, type Collected } from './collect.ts';
import { recordGates } from './record-gates.ts';
import { recordRds } from './record-rds.ts';
import { startDrill, type Recorded } from './scenario.ts';
import { connectClient } from '../../scripts/client-connection.ts';

/**
 * `npm run record-histories`: runs every case below on an embedded server, a real database and a real backup, and
 * writes their histories and evidence beside this program. What names this machine is left out or made neutral.
 */

/** Everything of the recording lies here, so that paths in the histories are the same on every machine. */
const ROOT = '/var/tmp/durable-runbooks/recording';
/** From dist/test/replay as from test/replay. */
const HERE = fileURLToPath(new URL('.', import.meta.url)).replace('/dist/test/', '/test/');
const log = (line: string): void => void process.stderr.write(`record: ${line}\n`);

/** What is recorded where: `npm run record-histories -- rds` leaves the histories of the others as they are. */
const PARTS: Readonly<Record<string, () => Promise<Collected>>> = { demo: recordDemo, gates: () => recordGates({ root: ROOT, log }), rds: () => recordRds({ root: ROOT, log }) };
const asked = process.argv.slice(2);
const unknown = asked.filter((name) => !Object.hasOwn(PARTS, name));
if (unknown.length > 0) throw new Error(`there is no part ${unknown.join(', ')}; there are ${Object.keys(PARTS).join(', ')}`);

process.env['RUNBOOKS_HOST'] = 'demo';
await writeAll(await recordParts());

/** Everything is read and made neutral before anything old is removed. */
async function recordParts(): Promise<Collected> {
  const all: Collected = { histories: new Map(), evidence: new Map() };
  for (const [name, record] of Object.entries(PARTS)) {
    if (asked.length > 0 && !asked.includes(name)) continue;
    await rm(ROOT, { recursive: true, force: true });
    await mkdir(join(ROOT, '..'), { recursive: true });
    const { histories, evidence } = await record();
    for (const [file, text] of histories) all.histories.set(file, text);
    for (const [file, text] of evidence) all.evidence.set(file, text);
  }
  return all;
}

async function recordDemo(): Promise<Collected> {
  const demo = await startDemoEnvironment({ scale: 0.02, seed: 1, writersPerSecond: 40, root: ROOT, log });
  try {
    const { client, cases } = await record(demo);
    const collected = await collect(client, cases, join(ROOT, 'evidence'));
    await client.connection.close();
    return collected;
  } finally {
    await demo.stop();
  }
}

async function record({ server, ...environment }: DemoEnvironment): Promise<{ client: Client; cases: Recorded[] }> {
  const connection = await connectClient({ address: server.address });
  // Histories keep who sent a signal: not the user who happens to record.
  const client = new Client({ connection, identity: 'operator@demo' });
  const run = async (type: string, workflowId: string): Promise<Recorded> => {
    log(workflowId);
    const handle = await client.workflow.start(type, { workflowId, taskQueue: 'runbooks', args: [{ requester: 'demo' }] });
    await handle.result();
    return { name: type, workflowId, runId: handle.firstExecutionRunId };
  };
  const drill = (name: string, act: Parameters<typeof startDrill>[2]): Promise<Recorded> => {
    log(name);
    return startDrill(client, name, act);
  };
  const cases = [await run(Backup.type, 'backup/shop/recorded'), await run(ManifestRunbook.type, 'manifest/shop/recorded')];
  const approve = { gate: 'start', by: 'anna', comment: 'for the recording' };
  const sound = await drill('dr-test-sound', async ({ handle }) => { await handle.signal('approve', approve); });
  const cancelled = await drill('dr-test-cancelled', async ({ handle, phase }) => {
    await handle.signal('approve', approve);
    await phase(/^(copy|replay|compare)/);
    await handle.cancel();
  });
  const rejected = await drill('dr-test-rejected', async ({ handle }) => { await handle.signal('reject', { gate: 'start', by: 'ben', comment: 'not tonight' }); });
  const aborted = await drill('dr-test-aborted-at-gate', async ({ handle }) => { await handle.signal('abort', { by: 'ben' }); });
  const terminated = await drill('dr-test-terminated', async ({ handle, phase }) => {
    await handle.signal('approve', approve);
    await phase(/^(copy|replay|compare)/);
    await handle.terminate('for the recording');
  });
  const latest = (await readdir(join(environment.repository, 'backups'))).sort().at(-1) ?? '';
  const coldTables = await readColdTables(environment.production.config);
  const breakIt = (kind: 'valueChanged' | 'missingFile') => damageBackup({ repository: environment.repository, backupId: latest, walDirectory: environment.production.archiveDirectory, coldTables, seed: 1, kind });
  await breakIt('valueChanged');
  const unsound = await drill('dr-test-unsound', async ({ handle }) => { await handle.executeUpdate('decide', { args: [{ gate: 'start', decision: 'approve', by: 'anna' }] }); });
  await breakIt('missingFile');
  const damaged = await drill('dr-test-damaged', async ({ handle }) => { await handle.signal('approve', approve); });
  const guardianOf = ({ workflowId, runId, name }: Recorded): Recorded => ({ name: name.replace('dr-test', 'guardian'), workflowId: guardianId({ workflowId, firstExecutionRunId: runId }), runId: '' });
  cases.push(sound, cancelled, rejected, aborted, unsound, damaged);
  cases.push(guardianOf(sound), guardianOf(cancelled), guardianOf(terminated), { name: 'lock', workflowId: lockId('shop'), runId: '' });
  return { client, cases };
}

async function writeAll({ histories, evidence }: Collected): Promise<void> {
  await writeFiles(join(HERE, 'histories'), histories);
  await writeFiles(join(HERE, 'evidence'), evidence);
}

/** Where all was recorded, what is not of it is removed. */
async function writeFiles(directory: string, files: ReadonlyMap<string, string>): Promise<void> {
  if (asked.length === 0) await rm(directory, { recursive: true, force: true });
  await mkdir(directory, { recursive: true });
  for (const [name, text] of files) {
    await writeFile(join(directory, name), text);
    log(`${join(directory, name)}: ${Math.ceil(text.length / 1024)} KiB`);
  }
}
