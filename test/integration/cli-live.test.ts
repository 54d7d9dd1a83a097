import { spawn, type ChildProcess } from 'node:child_process';
import { readdir, readFile, writeFile } from 'node:fs/promises';
import { delimiter, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { startDemoEnvironment, type DemoEnvironment } from '../../scripts/demo/environment.ts';
import { currentDetailsOf } from '../support/current-details.ts';
import { PATIENT } from '../support/patience.ts';

let demo: DemoEnvironment;
let environment: NodeJS.ProcessEnv;
let temporal: string;

beforeAll(async () => {
  demo = await startDemoEnvironment({ scale: 0.01, seed: 5, writersPerSecond: 20, log: () => undefined });
  // As `npm run demo -- --keep` says.
  const programs = fileURLToPath(new URL('../../dist/bin', import.meta.url));
  temporal = demo.temporalCli;
  environment = { ...process.env, PATH: `${programs}${delimiter}${process.env['PATH'] ?? ''}`, TEMPORAL_ADDRESS: demo.server.address, RUNBOOKS_CONFIG: demo.configurationFile, NO_COLOR: '1' };
  const backup = await runbook('start', 'backup', '--wait');
  if (backup.code !== 0) throw new Error(backup.out);
});
afterAll(() => demo.stop());

interface Ended { code: number | null; out: string }

function begin(program: string, args: string[]): { child: ChildProcess; ended: Promise<Ended>; said: () => string } {
  const child = spawn(program, args, { env: environment, stdio: ['ignore', 'pipe', 'pipe'] });
  let out = '';
  child.stdout.on('data', (chunk: Buffer) => { out += chunk.toString(); });
  child.stderr.on('data', (chunk: Buffer) => { out += chunk.toString(); });
  const ended = new Promise<Ended>((resolve) => child.once('close', (code) => resolve({ code, out })));
  return { child, ended, said: () => out };
}
const runbook = (...args: string[]) => begin('runbook', args).ended;

async function until(what: string, look: () => boolean | Promise<boolean>): Promise<void> {
  for (const end = Date.now() + PATIENT.timeout; Date.now() < end; await sleep(100)) if (await look()) return;
  throw new Error(`never: ${what}`);
}
const idIn = (text: string): string => /dr-test\/shop\/[\w:.-]+/.exec(text)?.[0] ?? '';
const gateIsOpen = async (id: string) => /waits for a decision|gate/i.test((await runbook('status', id)).out) && /approve/.test((await runbook('status', id)).out);

it('start prints how to approve and the link; approve lets it go on; --wait ends with the outcome, report and runs show it', async () => {
  const { ended, said } = begin('runbook', ['start', 'dr-test', '--wait', '--reason', 'quarterly', '--requester', 'zoe']);
  await until('an id', () => idIn(said()) !== '');
  const id = idIn(said());
  await until('the gate', () => gateIsOpen(id));
  // There is no plan yet whose hash it could name, and one that has to be filled in is refused as no hash of a plan.
  expect(said()).toContain(`approve  runbook approve ${id} --by NAME\n`);
  expect((await runbook('status', id)).out).toMatch(new RegExp(`runbook approve ${id} --by NAME --plan-hash [0-9a-f]{64}\\n`));
  expect(await runbook('compensations', id)).toEqual({ code: 0, out: 'nothing would be undone\n' });
  expect(said()).toMatch(/http:\/\/127\.0\.0\.1:\d+\/namespaces\/default\/workflows\//);
  // Where people are asked to look, both while they wait and with a command of its own.
  const told = /takes +about .*\n.*creates +\/.*\/drills\/[0-9a-f]{8}-<fence> on .*\n.*expires +with the run, which ends at the latest .* after it gets the target\n.*compares +every row and definition of .*shop \(\d+ tables\)/;
  await until('the plan', () => told.test(said()));
  expect((await runbook('status', id)).out).toMatch(told);
  // Whoever decides in the web UI decides on the same.
  const currentDetails = await currentDetailsOf(demo.client.workflow.getHandle(id));
  expect(currentDetails.replaceAll('\\', '')).toMatch(/- plan: restores .*\n(?:- plan: .*\n){2}- plan: creates .*\n- plan: expires .*\n- plan: compares .*\n- plan: aims at .*\n- plan: input .*quarterly.*\n- plan: code /);
  const stranger = await runbook('approve', id, '--by', 'mallory');
  expect(stranger).toMatchObject({ code: 2 });
  expect(stranger.out).toMatch(/mallory/);
  const approved = await runbook('approve', id, '--by', 'anna', '--comment', 'go');
  expect(approved).toMatchObject({ code: 0, out: expect.stringContaining('counts at gate "start": enough approvals; the plan is looked at once more') as string });
  const { code, out } = await ended;
  expect(out).toMatch(/restore sound/);
  expect(code).toBe(0);
  const report = await runbook('report', id);
  expect(report.out).toMatch(/approve by anna \(claimed, the client named the plan\) counted/);
  expect(report.out).toMatch(/approve by anna/);
  const runs = await runbook('runs', '--json');
  expect(JSON.parse(runs.out)).toEqual(expect.arrayContaining([expect.objectContaining({ workflowId: id, outcome: 'succeeded' })]));
});

it('pause holds a run before its next step, resume lets it go on, reject ends it as rejected with exit code 1', async () => {
  const started = await runbook('start', 'dr-test');
  expect(started.code).toBe(0);
  const id = idIn(started.out);
  await until('the gate', () => gateIsOpen(id));
  expect((await runbook('pause', id, '--by', 'anna')).code).toBe(0);
  expect((await runbook('approve', id, '--by', 'anna')).code).toBe(0);
  await until('paused', async () => /paused before/.test((await runbook('status', id)).out));
  await sleep(1_000);
  expect((await runbook('status', id)).out).toMatch(/paused before: taking the target/);
  const watcher = begin('runbook', ['watch', id]);
  await until('the watcher to speak', () => watcher.said().includes('paused'));
  // Ctrl-C ends the watcher and leaves the run alive.
  watcher.child.kill('SIGINT');
  expect(await watcher.ended).toMatchObject({ code: 130, out: expect.stringContaining('The run goes on. Watch it again: ') as string });
  expect((await runbook('resume', id)).code).toBe(0);
  expect((await runbook('watch', id)).code).toBe(0);

  const other = idIn((await runbook('start', 'dr-test')).out);
  await until('the gate', () => gateIsOpen(other));
  expect((await runbook('reject', other, '--by', 'ben', '--comment', 'not tonight')).code).toBe(0);
  const watched = await runbook('watch', other);
  expect(watched.code).toBe(1);
  expect(watched.out).toMatch(/rejected/);
});

it('abort in the middle undoes what was done, and says so', async () => {
  const id = idIn((await runbook('start', 'dr-test')).out);
  await until('the gate', () => gateIsOpen(id));
  await runbook('approve', id, '--by', 'anna');
  await until('a place', async () => (await readdir(join(demo.root, 'drills')).catch(() => [])).length > 0);
  expect((await runbook('abort', id, '--by', 'ben', '--reason', 'wrong night')).code).toBe(0);
  const { code, out } = await runbook('watch', id);
  expect(code).toBe(1);
  expect(out).toMatch(/aborted/);
  expect(await readdir(join(demo.root, 'drills'))).toEqual([]);
});

it('works as extensions of the Temporal CLI, and from it alone with a signal', async () => {
  const extension = await begin(temporal, ['workflow', 'start', 'dr-test', '--address', demo.server.address]).ended;
  const id = idIn(extension.out);
  expect(id).not.toBe('');
  await until('the gate', () => gateIsOpen(id));
  const signal = await begin(temporal, ['workflow', 'signal', '--workflow-id', id, '--name', 'approve', '--input', '{"gate":"start","by":"ben"}', '--address', demo.server.address]).ended;
  expect(signal.code).toBe(0);
  expect((await begin(temporal, ['runbook', 'watch', id]).ended).code).toBe(0);
  const plain = await begin(temporal, ['workflow', 'start', '--type', 'dr-test', '--task-queue', 'runbooks', '--workflow-id', 'any-id', '--address', demo.server.address]).ended;
  expect(plain.code).toBe(0);
  await until('the gate', () => gateIsOpen('any-id'));
  // As the web UI's form sends it with its other encoding: the worker as it is shipped takes it, and refuses the input.
  const strange = ['--input', '{}', '--input-meta', 'encoding=json/protobuf', '--address', demo.server.address];
  expect(await begin(temporal, ['workflow', 'signal', '--workflow-id', 'any-id', '--name', 'approve', ...strange]).ended).toMatchObject({ code: 0 });
  await until('the refusal', async () => /its argument is not/.test((await begin(temporal, ['workflow', 'query', '--workflow-id', 'any-id', '--type', 'record', '--address', demo.server.address]).ended).out));
  expect(await begin(temporal, ['workflow', 'execute', '--type', 'dr-test', '--task-queue', 'runbooks', '--workflow-id', 'strange', ...strange]).ended).toMatchObject({ code: 1, out: expect.stringContaining('the input of dr-test cannot be read: its encoding is "json/protobuf"') as string });
  await runbook('abort', 'any-id');
  expect((await runbook('watch', 'any-id')).code).toBe(1);
});

it('ends with 2 for wrong use, 3 when nothing answers, 1 when doctor finds something', async () => {
  expect((await runbook('start', 'dr-test', '--database', 'nope', '--wait')).out).toMatch(/no database "nope"/);
  expect((await runbook('start', 'no-such-runbook')).code).toBe(2);
  expect((await runbook('status', 'some-id', '--address', '127.0.0.1:1')).code).toBe(3);
  expect(await runbook('doctor')).toMatchObject({ code: 0 });
  const broken = join(demo.root, 'broken.yaml');
  await writeFile(broken, (await readFile(demo.configurationFile, 'utf8')).replace(/port: \d+/, 'port: 1'));
  const misspelt = join(demo.root, 'misspelt.yaml');
  await writeFile(misspelt, 'version: 1\ndatabase: {}\n');
  // With a server there, a worker gets far before it needs its configuration: it must end all the same.
  const worker = begin('runbook', ['worker', '--config', misspelt]);
  const lasting = setTimeout(() => worker.child.kill('SIGKILL'), 20_000);
  expect(await worker.ended).toMatchObject({ code: 2, out: expect.stringContaining('misspelt.yaml:2:1: database: there is no such setting') as string });
  clearTimeout(lasting);
  const doctor = await runbook('doctor', '--config', broken);
  expect(doctor.code).toBe(1);
  expect(doctor.out).toMatch(/127\.0\.0\.1:1|ECONNREFUSED/);
});
