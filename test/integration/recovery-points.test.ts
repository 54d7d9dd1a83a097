import { randomUUID } from 'node:crypto';
import { readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { parse, stringify } from 'yaml';
import type { Configuration } from '../../contracts/configuration.ts';
import type { DrillPlan } from '../../contracts/dr-test.ts';
import { TASK_QUEUE } from '../../contracts/search-attributes.ts';
import { startDemoEnvironment, type DemoEnvironment } from '../../scripts/demo/environment.ts';
import { runDrill, takeBackup } from '../support/drill-run.ts';
import { archived, archiveUpToNow, closeSegment } from '../support/wal-segments.ts';
import { withClient } from '../support/user-clients.ts';

let demo: DemoEnvironment;
let first: string;
/** Instants around the marks `a`, `b` and `c`. */
const after: Record<string, string> = {};

beforeAll(async () => {
  demo = await startDemoEnvironment({ scale: 0.02, seed: 3, writersPerSecond: 30, log: () => undefined });
  await addTargets();
  await execute('CREATE TABLE public.marks (id text PRIMARY KEY, at timestamptz DEFAULT clock_timestamp())');
  first = (await takeBackup(demo)).id;
  await execute('CREATE DATABASE billing');
  for (const mark of ['a', 'b', 'c']) {
    await execute(`INSERT INTO public.marks (id) VALUES ('${mark}')`);
    await sleep(1_200);
    after[mark] = new Date().toISOString();
    await sleep(1_200);
    await execute('SELECT pg_switch_wal()');
  }
  await withClient(demo.production.config, (client) => archiveUpToNow(client, demo.production.archiveDirectory));
});
afterAll(() => demo.stop());

const execute = (sql: string) => withClient(demo.production.config, (client) => client.query(sql));

/** One target for each mark that must be the last one there: the check is in the configuration, as an owner would write it. */
async function addTargets(): Promise<void> {
  const configuration = parse(await readFile(demo.configurationFile, 'utf8')) as Configuration;
  const { shop } = configuration.databases;
  for (const mark of ['a', 'b', 'c']) {
    configuration.databases[`until-${mark}`] = { ...shop!, gates: {}, checks: [{ name: 'last mark', sql: 'SELECT max(id) FROM public.marks', expect: mark }] };
  }
  await writeFile(demo.configurationFile, stringify(configuration));
  await demo.endWorker('SIGTERM');
  await demo.startWorker();
}

it('recovers to an instant: what was committed before it is there, and nothing after', async () => {
  const { evidence } = await runDrill(demo, { recoveryPoint: { time: after['b'] } }, { database: 'until-b' });
  expect(evidence.checks.find((check) => check.name === 'last mark')).toMatchObject({ outcome: 'passed' });
  expect(evidence.verdict.restore).toBe('sound');
  // Everything that the source committed after the instant counts as lost, and `c` is among it.
  expect(evidence.recovery!.lostTransactions).toBeGreaterThan(0);
  expect(evidence.notVerified).toContain('database billing: made, or given this name, after manifest backup, and not compared; a newer manifest has it');
});

it('the same check on another instant is red: it looks at the restored data', async () => {
  const { evidence, failure } = await runDrill(demo, { recoveryPoint: { time: after['a'] } }, { database: 'until-c' });
  expect(failure).toMatch(/last mark: is not c/);
  expect(evidence.verdict.restore).toBe('unsound');
});

it.each([
  ['before the first backup', () => new Date(Date.parse(after['a']!) - 86_400_000).toISOString(), /no recovery point from before/],
  ['in the future', () => new Date(Date.now() + 3_600_000).toISOString(), /is after .* when the disaster was declared/],
])('an instant %s is refused with a sentence, and nothing is created', async (_name, time, sentence) => {
  const { evidence, failure } = await runDrill(demo, { recoveryPoint: { time: time() } }, { database: 'until-a' });
  expect(failure).toMatch(sentence);
  expect(evidence.teardown.outcome).toBe('notNeeded');
  expect(await readdir(join(demo.root, 'drills')).catch(() => [])).toEqual([]);
});

it('an instant beyond the end of the archive is refused, since what happened then is not in it', async () => {
  await sleep(1_100);
  const time = new Date().toISOString();
  const { failure } = await runDrill(demo, { recoveryPoint: { time } }, { database: 'until-c' });
  expect(failure).toMatch(/cannot be recovered: the archive ends with [0-9A-F]{24}/);
});

it('an instant whose commits were written after the last segment that is archived is not proven to be reached', async () => {
  const set = async (...settings: string[]) => {
    for (const setting of settings) await execute(`ALTER SYSTEM SET ${setting}`);
    await execute('SELECT pg_reload_conf()');
    // The archiver reads its settings again before its next segment, within a second of a signal.
    await sleep(1_000);
  };
  await set(`archive_command = 'false'`, 'archive_timeout = 0');
  const segment = await withClient(demo.production.config, closeSegment);
  await sleep(1_500);
  const time = new Date().toISOString();
  try {
    await sleep(500);
    await execute('ALTER SYSTEM RESET archive_command');
    await execute('SELECT pg_reload_conf()');
    await archived(demo.production.archiveDirectory, segment);
    const { evidence } = await runDrill(demo, { recoveryPoint: { time } }, { database: 'until-c' });
    expect(evidence.checks.find(({ name }) => name === 'last mark')).toMatchObject({ outcome: 'passed' });
    expect(evidence.verdict.restore).toBe('notProven');
    expect(evidence.notVerified).toContainEqual(expect.stringMatching(new RegExp(`^check asked instant: nothing in the archive is later than the commit of .*, so ${time} is not proven to be reached: the source committed \\d+ more until then; ask for`)));
  } finally {
    await set('archive_timeout = 5');
  }
});

it('compares at a manifest that was taken alone when it is newer than the backup, and predicts from earlier drills', async () => {
  const taken = await demo.client.workflow.execute('manifest', { workflowId: `manifest/shop/${randomUUID()}`, taskQueue: TASK_QUEUE, args: [{ database: 'shop' }] }) as { id: string };
  const { evidence } = await runDrill(demo, { recoveryPoint: { id: first } });
  const plan = evidence.plan as DrillPlan;
  expect(plan.manifest?.id.startsWith(`${taken.id}.`)).toBe(true);
  expect(evidence.verdict.restore).toBe('sound');
  const again = await runDrill(demo, { recoveryPoint: 'random' });
  expect((again.evidence.plan as DrillPlan).predicted.from).toMatch(/earlier drill/);

  // One digit that still parses: it must neither be compared with nor be passed over without a word.
  const directory = join(demo.repository, 'manifests');
  const [name] = (await readdir(directory)).filter((file) => file.startsWith(taken.id));
  const file = join(directory, name as string);
  const text = await readFile(file, 'utf8');
  await writeFile(file, text.replace(/"fingerprint":"(-?)(\d)/, (_, sign: string, digit: string) => `"fingerprint":"${sign}${(Number(digit) % 8) + 1}`));
  const { evidence: older } = await runDrill(demo, { recoveryPoint: { id: first } });
  await writeFile(file, text);
  expect((older.plan as DrillPlan).manifest?.id).toBe('backup');
  expect(older.verdict.restore).toBe('sound');
  expect(older.notVerified).toContainEqual(expect.stringMatching(new RegExp(`^manifest ${taken.id}\\.\\w+ was passed over: .*SHA-256 differs`)));
});

it('a worker killed in the middle of a base backup does not spoil it, and the half one is never picked', async () => {
  const handle = await demo.client.workflow.start('backup', { workflowId: `backup/shop/${randomUUID()}`, taskQueue: TASK_QUEUE, args: [{ database: 'shop' }] });
  for (let started = false; !started;) {
    const { raw } = await handle.describe();
    started = raw.pendingActivities?.some((pending) => pending.activityType?.name === 'takeBaseBackup' && pending.state === 2) ?? false;
  }
  await sleep(300);
  await demo.endWorker('SIGKILL');
  await demo.startWorker();
  const { id } = await handle.result() as { id: string };
  const { evidence } = await runDrill(demo, { recoveryPoint: { id } });
  expect(evidence.verdict.restore).toBe('sound');
  expect(await readdir(join(demo.repository, 'incoming'))).toEqual([]);
});
