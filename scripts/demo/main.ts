import { copyFile, mkdir, readFile } from 'node:fs/promises';
import { basename, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { Backup } from '../../contracts/backup.ts';
import { DrTest } from '../../contracts/dr-test.ts';
import { evidenceSchema, type Evidence } from '../../contracts/evidence.ts';
import { guardianId } from '../../contracts/guardian.ts';
import type { Progress } from '../../contracts/messages.ts';
import { TASK_QUEUE } from '../../contracts/search-attributes.ts';
import { renderText } from '../cli/evidence-text.ts';
import { planLines } from '../../contracts/plan-lines.ts';
import { signalCommand } from '../cli/printed-command.ts';
import { planOf } from '../cli/run-view.ts';
import { binDirectoryOf } from './asked-postgres.ts';
import type { Damage } from './damage.ts';
import { damageDemo } from './damage-demo.ts';
import { startDemoEnvironment, type DemoEnvironment } from './environment.ts';
import { followDrill } from './follow-drill.ts';
import { keptLines, namesDamage } from './last-words.ts';
import { endOf, evidenceByOthers } from './run-end.ts';
import { untilStopped } from './until-stopped.ts';

const OPTIONS = {
  keep: { type: 'boolean', default: false }, interactive: { type: 'boolean', default: false }, broken: { type: 'boolean', default: false },
  seed: { type: 'string' }, scale: { type: 'string', default: '1' }, postgres: { type: 'string' }, help: { type: 'boolean', short: 'h', default: false },
} as const;

const HELP = `npm run demo -- [options]

  --keep          leave everything up, and print what to try
  --interactive   wait for you to approve
  --broken        damage the backup; ends with 0 only if the drill named the damage
  --seed NUMBER   which damage, and which data
  --scale NUMBER  size of the database (default: 1, about 280 MiB)
  --postgres DIR  run the PostgreSQL, 14 or newer, whose programs (postgres,
                  initdb, pg_ctl) are in DIR, such as /usr/lib/postgresql/16/bin
                  (default: the package's)`;

const options = readOptions();
const seed = Number(options.seed ?? Math.floor(Math.random() * 1e6));
const began = performance.now();
const log = (line: string): void => void process.stdout.write(`[${((performance.now() - began) / 1000).toFixed(1).padStart(5)} s] ${line}\n`);

process.exitCode = await main();

function readOptions() {
  try {
    const { values } = parseArgs({ options: OPTIONS });
    if (values.seed !== undefined && !/^\d{1,9}$/.test(values.seed)) throw new Error('--seed takes a whole number of at most 9 digits');
    if (!(Number(values.scale) > 0 && Number(values.scale) <= 1_000)) throw new Error('--scale takes a number above 0, 1000 at most');
    if (!values.help) return values;
    process.stdout.write(`${HELP}\n`);
    return process.exit(0);
  } catch (error) {
    process.stderr.write(`demo: ${(error as Error).message}\n\n${HELP}\n`);
    return process.exit(2);
  }
}

async function main(): Promise<number> {
  let postgres: string | undefined;
  try {
    postgres = options.postgres === undefined ? undefined : await binDirectoryOf(options.postgres);
  } catch (error) {
    process.stderr.write(`demo: ${(error as Error).message}; give another directory to --postgres\n`);
    return 2;
  }
  const stopped = untilStopped(log);
  if (options.broken) log(`a backup will be damaged; seed ${seed} (repeat with --seed ${seed})`);
  let demo: DemoEnvironment;
  try {
    demo = await startDemoEnvironment({ scale: Number(options.scale), seed, writersPerSecond: 150, postgres, log, signal: stopped.signal });
  } catch (error) {
    // What it has not waited for must not keep the process.
    if (stopped.signal.aborted) return process.exit(stopped.exitCode());
    process.stderr.write(`demo: ${(error as Error).message}\n`);
    return 1;
  }
  stopped.signal.addEventListener('abort', () => void demo.stop().finally(() => process.exit(stopped.exitCode())), { once: true });
  try {
    log(`web UI: ${demo.server.uiAddress}`);
    const success = await backUpAndDrill(demo);
    if (options.keep) await keep(demo);
    return success ? 0 : 1;
  } finally {
    if (!options.keep) await demo.stop();
  }
}

/** Returns whether it went as it should: the drill succeeded, or named the damage that there is. */
async function backUpAndDrill(demo: DemoEnvironment): Promise<boolean> {
  log('backup: base backup, WAL archive and exact manifest, while writers go on writing');
  const backingUp = demo.client.workflow.execute(Backup.type, { workflowId: `backup/shop/${stamp()}`, taskQueue: TASK_QUEUE, args: [{}] }) as Promise<{ id: string; manifest: { tables: number; rows: number } }>;
  const { instead } = await endOf(backingUp);
  if (instead !== null) {
    log(`backup ${instead}`);
    return false;
  }
  const backup = await backingUp;
  log(`backup ${backup.id}: ${backup.manifest.tables} tables, ${backup.manifest.rows} rows in its manifest`);
  const damage = options.broken ? await damageIt(demo, backup.id) : undefined;
  const evidence = await drill(demo);
  if (!evidence) {
    log('there is no evidence of the drill');
    return false;
  }
  const kept = await keepEvidence(evidence.file);
  process.stdout.write(`\n${renderText(evidence.record)}\n\nevidence  ${kept}\nreport    ${kept.replace(/json$/, 'html')}\n\n`);
  const success = damage ? namesDamage(evidence.record, damage.expectedNames) : evidence.record.outcome === 'succeeded';
  if (damage) log(success ? `dr-test was not told, and named the damage: ${damage.description}` : `dr-test did NOT name the damage: ${damage.description}`);
  return success;
}

async function damageIt(demo: DemoEnvironment, backupId: string): Promise<Damage> {
  const damage = await damageDemo(demo, { backupId, seed });
  log(`damaged the backup: ${damage.kind} (seed ${damage.seed})`);
  return damage;
}

/** Returns the evidence; undefined where there is none, as of a run that was deleted. */
async function drill(demo: DemoEnvironment): Promise<{ record: Evidence; file: string } | undefined> {
  const workflowId = `dr-test/shop/${stamp()}`;
  // Named: its port is a free one, and whoever types this in another terminal may have another server by default.
  const { address } = demo.server;
  log(`dr-test: temporal workflow start --type dr-test --task-queue runbooks --workflow-id ${workflowId} --address ${address}`);
  const handle = await demo.client.workflow.start(DrTest.type, { workflowId, taskQueue: TASK_QUEUE, args: [{ requester: 'demo' }] });
  log(`dr-test: ${demo.server.uiAddress}/namespaces/default/workflows/${encodeURIComponent(workflowId)}`);
  const command = signalCommand({ address }, workflowId, 'approve', { gate: 'start', by: 'anna' });
  const soon = <T>(call: () => Promise<T>) => demo.client.withDeadline(Date.now() + 5_000, call);
  const look = followDrill({
    progress: () => soon(() => handle.query<Progress>('progress')),
    planLines: async (planHash) => planLines(await planOf(demo.client, handle, planHash), Date.now()),
    announcement: options.interactive ? `waiting for you: in the web UI, "Send a Signal" with the name approve and the input {"gate":"start","by":"anna"}, or ${command}` : `approving as anna: ${command}`,
    ...(options.interactive ? {} : { approve: () => soon(() => handle.signal('approve', { gate: 'start', by: 'anna' })) }),
    log,
  });
  // One look at a time, and the last is waited for: a call that is tried again after the connection is closed ends the process.
  let looking: Promise<void> | undefined;
  const watching = setInterval(() => { looking ??= look().catch(() => undefined).finally(() => { looking = undefined; }); }, 100);
  const end = await endOf(handle.result()).finally(async () => {
    clearInterval(watching);
    await looking;
  });
  if (end.instead !== null) log(`dr-test ${end.instead}`);
  await demo.client.workflow.getHandle(guardianId({ workflowId, firstExecutionRunId: handle.firstExecutionRunId })).result().catch(() => undefined);
  const file = end.evidence ?? (end.isByForce ? await evidenceByOthers(join(demo.root, 'evidence'), await handle.describe()) : undefined);
  return file === undefined ? undefined : { record: evidenceSchema.parse(JSON.parse(await readFile(file, 'utf8'))), file };
}

/** Evidence outlives the demo, whose own files go when it ends. Returns where it is, its report beside it. */
async function keepEvidence(file: string): Promise<string> {
  const directory = resolve('.demo');
  await mkdir(directory, { recursive: true });
  for (const one of [file, file.replace(/json$/, 'html')]) await copyFile(one, join(directory, basename(one)));
  return join(directory, basename(file));
}

async function keep(demo: DemoEnvironment): Promise<void> {
  process.stdout.write(`${keptLines(demo, { programs: fileURLToPath(new URL('../../bin', import.meta.url)), pid: process.pid }).join('\n')}\n`);
  await new Promise<never>(() => setInterval(() => undefined, 1 << 30));
}

function stamp(): string {
  return new Date().toISOString().replaceAll(/[-:]/g, '').replace(/\.\d+/, '');
}
