import { spawn } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { appendFile, readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { WorkflowHandleWithFirstExecutionRunId } from '@temporalio/client';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { evidenceSchema, type Evidence } from '../../contracts/evidence.ts';
import type { Progress } from '../../contracts/messages.ts';
import { NOTIFICATION_TYPE } from '../../contracts/notification.ts';
import { TASK_QUEUE } from '../../contracts/search-attributes.ts';
import { awaitGuardian } from '../support/await-guardian.ts';
import { copyDamaged } from '../support/damaged-copy.ts';
import { takeBackup } from '../support/drill-run.ts';
import { filePlaces, placesOf, workflowPlaces } from '../support/places.ts';
import { startPlantedEnvironment, type PlantedEnvironment } from '../support/planted-environment.ts';
import { SHOWN_KEYS } from '../support/planted-rows.ts';
import { formsOf, scannerFor, sentenceOf, type Leak, type Place, type Planted } from '../support/secret-forms.ts';
import { until } from '../support/toy-runs.ts';
import { watchProcesses } from '../support/watch-processes.ts';
import { withClient } from '../support/user-clients.ts';

let environment: PlantedEnvironment;
let processes: Awaited<ReturnType<typeof watchProcesses>>;
let secrets: Planted[];
let scan: (places: readonly Place[]) => Leak[];
/** What the command line printed. */
const said: Place[] = [];
/** One for each way in which a run can end that has something to say about rows or passwords. */
const evidence = {} as Record<'sound' | 'unsound' | 'rejected' | 'mistaken', Evidence>;

type Run = WorkflowHandleWithFirstExecutionRunId;
async function runbook(...args: string[]): Promise<number | null> {
  const { code, out } = await environment.runbook(...args);
  said.push({ where: `output of runbook ${args.join(' ')}`, content: out });
  return code;
}
const begin = (database: string, type = 'dr-test'): Promise<Run> => environment.client.workflow.start(type, { workflowId: `${type}/${database}/${randomUUID()}`, taskQueue: TASK_QUEUE, args: [{ database, requester: 'zoe' }] });
const progressOf = (run: Run) => run.query<Progress>('progress');
const gateOpens = (run: Run) => until(async () => (await progressOf(run)).openGate !== null, 'the gate is open');
/** Waits for the run, and for what looks after it. */
async function end(run: Run): Promise<void> {
  await run.result().catch(() => undefined);
  await awaitGuardian(environment.client, run);
}
async function evidenceOf({ workflowId }: Pick<Run, 'workflowId'>): Promise<Evidence> {
  const directory = join(environment.root, 'evidence');
  const files = (await readdir(directory)).filter((name) => name.endsWith('.json'));
  const all = await Promise.all(files.map(async (name) => evidenceSchema.parse(JSON.parse(await readFile(join(directory, name), 'utf8')))));
  const found = all.find((one) => one.workflowId === workflowId);
  if (!found) throw new Error(`${workflowId} has no evidence`);
  return found;
}

beforeAll(async () => {
  environment = await startPlantedEnvironment();
  const { rows, repository, damaged, production, planted, addresses } = environment;
  secrets = [...planted, ...addresses];
  scan = scannerFor(secrets);
  processes = await watchProcesses();
  await takeBackup(environment);
  // Not the one that the checks run into.
  const pair = valueOf('row value (composite)') as string;
  await withClient(production.config, (client) => copyDamaged(client, {
    from: repository, to: damaged, changed: { table: 'letters', value: pair }, unreadable: 'by_name',
    tables: [...rows.tables, 'pg_largeobject'], definitions: ['role', 'user mapping', 'subscription', 'setting'],
  }));

  // Runs of one target wait for each other where they have to: its lock sees to that.
  const [manifest, rejected, unsound, mistaken] = await Promise.all([begin('shop', 'manifest'), begin('judged'), begin('judged'), begin('mistaken')]);
  const sound = runbook('start', 'dr-test', '--database', 'shop', '--id', 'sound', '--wait');
  await Promise.all([
    gateOpens(rejected).then(() => runbook('reject', rejected.workflowId, '--by', 'anna', '--comment', 'not tonight')),
    gateOpens(unsound).then(() => unsound.signal('approve', { gate: 'start', by: 'anna' })),
    until(async () => Boolean((await progressOf(mistaken)).waitingStep), 'the mistaken run waits for an operator')
      .then(() => runbook('status', mistaken.workflowId)).then(() => mistaken.signal('abort', { by: 'anna', reason: 'the password is wrong' })),
  ]);
  await Promise.all([sound, ...[manifest, rejected, unsound, mistaken].map(end)]);
  for (const [name, run] of Object.entries({ sound: { workflowId: 'sound' }, unsound, rejected, mistaken })) evidence[name as keyof typeof evidence] = await evidenceOf(run);
  const id = unsound.workflowId;
  await Promise.all([['doctor'], ['runs', '--json'], ['status', id], ['report', id], ['report', id, '--format', 'markdown']].map((args) => runbook(...args)));
});
afterAll(async () => {
  await processes?.seen();
  await environment?.stop();
});

it('the runs said what they had to say: of every planted table, of definitions with secrets, of checks that ran into values, of a wrong password', () => {
  const { sound, unsound, rejected, mistaken } = evidence;
  expect([sound.verdict.restore, unsound.verdict.restore, rejected.outcome, mistaken.outcome]).toEqual(['sound', 'unsound', 'rejected', 'aborted']);
  const failed = unsound.checks.filter(({ outcome }) => outcome === 'failed').map(({ name }) => name);
  expect(failed).toEqual(expect.arrayContaining([
    ...environment.rows.tables.map((table) => `table planted.${table}`), 'table pg_catalog.pg_largeobject',
    'role planted_role', 'setting of role planted_role in database any', 'subscription planted_calls', 'user mapping planted_role on planted_server',
    'runs into a value (0)', 'runs into a value (1)', 'runs into a value (2)', 'application probe', 'heartbeat planted.beats',
  ]));
  // The one thing of a row that is shown by design: where it is, by an integer key.
  expect(unsound.checks.find(({ name }) => name === 'table planted.letters')?.detail).toContain(`id ${SHOWN_KEYS.from} to ${SHOWN_KEYS.to} `);
  expect(JSON.stringify(mistaken)).toContain('password authentication failed');
  for (const signed of Object.values(evidence)) expect(signed.chain.seal?.signature).toBeDefined();
});

it('no history, description or answer of any workflow holds a secret or a value of a row', async () => {
  const { workflow } = environment.client;
  await until(async () => (await workflow.count(`WorkflowType = '${NOTIFICATION_TYPE}' AND ExecutionStatus = 'Running'`)).count === 0, 'all messages are delivered, or given up');
  const { places, types } = await workflowPlaces(environment.client);
  expect(Object.fromEntries(types)).toMatchObject({ backup: 1, manifest: 1, 'dr-test': 4, guardian: 5, lock: 2 });
  expect(types.get(NOTIFICATION_TYPE)).toBeGreaterThan(6);
  expect(scan(places).map(sentenceOf)).toEqual([]);
});

it('no evidence, report, copy, manifest, configuration, log or other file that was left holds one', async () => {
  const { root, repository, damaged, private: ofSecrets } = environment;
  const contents = (await Promise.all([repository, damaged].map(async (place) => (await readdir(join(place, 'backups'))).flatMap((id) => ['data', 'tablespaces'].map((part) => join(place, 'backups', id, part)))))).flat();
  const places = await filePlaces(root, [...ofSecrets, ...contents]);
  for (const kind of [/evidence\/.*\.json$/, /evidence\/.*\.html$/, /evidence\/by-head\//, /copies\/.*\.html$/, /manifests\//, /manifest\.json$/, /worker\.log$/, /production\/server\.log$/, /temporal\.log$/]) expect(places.map(({ where }) => where)).toEqual(expect.arrayContaining([expect.stringMatching(kind)]));
  expect(scan(places).map(sentenceOf)).toEqual([]);
});

it('no output of the command line, and no message to people, holds one', () => {
  // Whoever gets a message knows the address that it came to.
  const received = environment.receiver.received.map(({ headers, body }, index) => ({ where: `message ${index}`, content: { headers, body } }));
  expect(said.length).toBeGreaterThan(6);
  expect(scan([...said, ...received]).map(sentenceOf)).toEqual([]);
});

it('no command line of any process showed one, and no process of a drill had one in its environment', async () => {
  // Two that must be seen: the looking is often enough for what lives for a moment.
  const [value, probe] = [unlikely(), unlikely()];
  const shown = spawn(process.execPath, ['-e', '0', value], { env: { ...process.env, DURABLE_RUNBOOKS_DRILL: probe } });
  await once(shown, 'exit');
  const { commands, environments } = await processes.seen();
  const seen = [...commands, ...environments].join('\n');
  expect([value, probe].filter((one) => !seen.includes(one))).toEqual([]);
  for (const program of ['/workers/main.js', '/bin/postgres -D', `${environment.root}/drills/`, 'copy-process', 'cli/main.js', 'sleep 0.2', 'postgres: ']) expect(commands.some((one) => one.includes(program)), program).toBe(true);
  expect(scan([{ where: 'process list', content: commands }, { where: 'environments of drills', content: environments }]).map(sentenceOf)).toEqual([]);
});

it('whatever is put into a log, a history or a report on purpose is found, in every encoding', async () => {
  const { root, client } = environment;
  const forms = secrets.flatMap(({ name, value }) => [...formsOf(value).values()].map((text) => ({ name, text })));
  await appendFile(join(root, 'worker.log'), Buffer.concat(forms.map(({ text }) => Buffer.from(`… ${text} …\n`, 'latin1'))));
  const found = scan(await filePlaces(root, [...environment.private, environment.repository, environment.damaged]));
  expect(new Set(found.map(({ where }) => where))).toEqual(new Set(['file worker.log']));
  const foundTexts = new Set(found.map(({ planted, form }) => `${planted} ${formsOf(valueOf(planted)).get(form)}`));
  expect(forms.filter(({ name, text }) => !foundTexts.has(`${name} ${text}`))).toEqual([]);

  const [one, two, three, four, five] = secrets.filter(({ value }) => typeof value === 'string').map(({ name, value }) => ({ name, value: String(value) })) as [Told, Told, Told, Told, Told];
  const told = await client.workflow.start('nobody', {
    workflowId: 'on-purpose', taskQueue: 'nobody-polls', args: [{ deep: [one.value] }, Buffer.from(`{"a":"${two.value}"}`).toString('base64')], memo: { kept: three.value }, staticSummary: four.value,
  });
  await told.terminate(`because of ${five.value}`);
  const inHistory = scan(await placesOf(client, { workflowId: 'on-purpose', runId: told.firstExecutionRunId, queries: [] })).filter(({ where }) => where === 'history of on-purpose');
  expect(new Set(inHistory.map(({ planted }) => planted))).toEqual(new Set([one, two, three, four, five].map(({ name }) => name)));
});

interface Told { name: string; value: string }
function valueOf(name: string): string | Buffer {
  return secrets.find((one) => one.name === name)?.value ?? '';
}

function unlikely(): string {
  return `on-purpose-${randomUUID()}`;
}
