import { execFile, spawn, type ChildProcess } from 'node:child_process';
import { openSync, closeSync } from 'node:fs';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { Client, type Connection } from '@temporalio/client';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { withClient } from '../../scripts/cli/connect.ts';
import { resolveTemporalCli } from '../../scripts/embedded/temporal-cli.ts';
import { startTemporalServer, type TemporalServer } from '../../scripts/embedded/temporal-server.ts';
import { connectClient } from '../../scripts/client-connection.ts';

const program = fileURLToPath(new URL('../../dist/scripts/cli/main.js', import.meta.url));
const demoProgram = fileURLToPath(new URL('../../dist/scripts/demo/main.js', import.meta.url));
let root: string;
let server: TemporalServer;
let connection: Connection;
let client: Client;
let environment: NodeJS.ProcessEnv;

beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), 'cli-refusals-'));
  server = await startTemporalServer({ cliPath: (await resolveTemporalCli({ log: () => undefined })).path, searchAttributes: {}, logFile: join(root, 'server.log') });
  connection = await connectClient({ address: server.address });
  client = new Client({ connection });
  const RUNBOOKS_CONFIG = join(root, 'runbooks.yaml');
  await writeFile(RUNBOOKS_CONFIG, 'version: 1\ndrills: { directory: ./drills }\ndatabases:\n  shop:\n    connection: { host: 127.0.0.1, port: 1 }\n    provider: { kind: archive, repository: ./none, walDirectory: ./none }\n');
  environment = { ...process.env, RUNBOOKS_CONFIG, NO_COLOR: '1' };
});
afterAll(async () => {
  await connection.close();
  await server.stop();
  await rm(root, { recursive: true });
});

interface Ended { code: number; out: string }
function run(args: string[], address: string[] = ['--address', server.address]): Promise<Ended> {
  return new Promise((resolve) => {
    execFile(process.execPath, [program, ...args, ...address], { env: environment, timeout: 40_000 }, (error, stdout, stderr) => resolve({ code: error === null ? 0 : Number(error.code ?? -1), out: stdout + stderr }));
  });
}
const begin = (type: string, workflowId: string) => client.workflow.start(type, { workflowId, taskQueue: 'runbooks', args: [{}] });
const STACK = /\n {4}at /;

describe('without a worker', () => {
  beforeAll(() => begin('dr-test', 'quiet'));

  it('messages that need an answer end with 3 in time, and print the signal that the server keeps', async () => {
    const messages = [['abort', '{"by":"anna"}'], ['pause', '{"by":"anna"}'], ['approve', '{"gate":"start","by":"anna"}'], ['reject', '{"gate":"start","by":"anna"}']] as const;
    await Promise.all(messages.map(async ([command, input]) => {
      const { code, out } = await run([command, 'quiet', '--by', 'anna']);
      expect(out).toContain(`temporal workflow signal --workflow-id quiet --name ${command} --input '${input}' --address ${server.address}`);
      expect(out).toContain('no worker answers');
      expect(out).not.toMatch(STACK);
      expect(code).toBe(3);
    }));
  });

  it('start prints commands that reach the same server, no gate where there is none, and no link to where there is no web UI', async () => {
    const { code, out } = await run(['start', 'dr-test', '--id', 'started']);
    expect(code).toBe(0);
    expect(out).toContain(`runbook watch started --address ${server.address}`);
    expect(out).toContain(`runbook worker --address ${server.address}`);
    expect(out).not.toMatch(/approve|web UI/);
  });
});

describe('ordinary mistakes', () => {
  it.each([
    ['a namespace that is not there', ['runs', '--namespace', 'nosuch'], /there is no namespace "nosuch".*--namespace/],
    ['a run in such a namespace', ['start', 'dr-test', '--namespace', 'nosuch'], /there is no namespace "nosuch"/],
    ['a worker for such a namespace', ['worker', '--namespace', 'nosuch'], /there is no namespace "nosuch"/],
    ['a runbook with a name that every object has', ['start', 'constructor'], /there is no runbook "constructor"/],
    ['an empty id', ['watch', ''], /an argument is empty/],
    ['an empty option', ['start', 'dr-test', '--id', ''], /--id is empty/],
    ['an id that is too long', ['start', 'dr-test', '--id', 'x'.repeat(2_000)], /the Temporal server at .* refused: /],
    ['a hash of one character', ['approve', 'quiet', '--plan-hash', 'a'], /--plan-hash "a" is no hash of a plan/],
    ['a hash of eleven digits', ['approve', 'quiet', '--plan-hash', 'abcdef01234'], /--plan-hash "abcdef01234" is no hash of a plan: give all of it, or its first 32 digits or more/],
    ['an empty hash', ['approve', 'quiet', '--plan-hash', ''], /--plan-hash is empty/],
    ['an id that would begin a line', ['status', 'a\nb\u202E'], /there is no run "a b\uFFFD"/],
  ])('%s is told in a sentence and ends with 2', async (_what, args, sentence) => {
    const { code, out } = await run(args);
    expect(out).toMatch(sentence);
    expect(out).not.toMatch(STACK);
    expect(code).toBe(2);
  });

  it.each([[7, 'Request unauthorized.'], [16, 'token is expired']])('credentials that the server does not take (gRPC %d) are wrong use, with its words', async (code, details) => {
    const refused = Object.assign(new Error(details), { code, details, metadata: {} });
    await expect(withClient({ address: server.address }, () => Promise.reject(refused))).rejects.toMatchObject({ exitCode: 2, message: expect.stringMatching(`refused access to namespace default \\(${details}\\); use credentials that may`) as string });
  });

  it('a port that cannot be, or that is taken, is wrong use', async () => {
    expect(await run(['dev', '--port', '99999'], [])).toMatchObject({ code: 2, out: expect.stringContaining('1 to 65535') as string });
    expect(await run(['dev', '--port', server.address.split(':')[1]!], [])).toMatchObject({ code: 2, out: expect.stringMatching(/address already in use.*choose others/) as string });
  });

  it.each([[['--help'], 0, /^npm run demo/], [['--seed'], 2, /--seed.*argument missing/], [['--seed', 'x'], 2, /--seed takes a whole number/], [['--scale', '0'], 2, /--scale takes/]])('the demo answers %j with %d', async (args, code, sentence) => {
    const ended = await new Promise<Ended>((resolve) => {
      execFile(process.execPath, [demoProgram, ...args], (error, stdout, stderr) => resolve({ code: error === null ? 0 : Number(error.code), out: stdout + stderr }));
    });
    expect(ended.out).toMatch(sentence);
    expect(ended.out).not.toMatch(STACK);
    expect(ended.code).toBe(code);
  });

  it('output that nobody reads, or that a full disk does not take, is told without a stack', async () => {
    const full = openSync('/dev/full', 'w');
    const ended = (child: ChildProcess) => new Promise<number | null>((resolve) => { child.once('close', resolve); });
    try {
      let said = '';
      const child = spawn(process.execPath, [program, 'list'], { env: environment, stdio: ['ignore', full, 'pipe'] });
      child.stderr!.on('data', (chunk: Buffer) => { said += chunk.toString(); });
      expect(await ended(child)).toBe(1);
      expect(said).toBe('runbook: the output cannot be written (ENOSPC)\n');
    } finally {
      closeSync(full);
    }
    const shell = spawn('bash', ['-c', `"$0" "$1" list 2>&1 >&3 3>&- | cat; exit \${PIPESTATUS[0]}`, process.execPath, program], { env: environment, stdio: ['ignore', 'pipe', 'pipe', 'pipe'] });
    shell.stdio[3]!.destroy();
    let said = '';
    shell.stdout!.on('data', (chunk: Buffer) => { said += chunk.toString(); });
    expect(await ended(shell)).toBe(141);
    expect(said).toBe('');
  });
});

describe('with a worker', () => {
  let worker: ChildProcess;
  beforeAll(async () => {
    await begin('dr-tset', 'misspelt');
    worker = spawn(process.execPath, [program, 'worker', '--address', server.address], { env: environment, stdio: 'ignore' });
    for (const end = Date.now() + 60_000; ; await sleep(200)) {
      const { raw } = await client.workflow.getHandle('misspelt').describe();
      if ((raw.pendingWorkflowTask?.attempt ?? 0) > 1) break;
      if (Date.now() > end) throw new Error('the worker never came');
    }
  });
  afterAll(() => new Promise((resolve) => { worker.once('close', resolve); worker.kill('SIGTERM'); }));

  it('that cannot carry a run on, its failure is shown, and nobody is sent to start another', async () => {
    for (const args of [['status', 'misspelt'], ['abort', 'misspelt'], ['approve', 'misspelt']]) {
      const { code, out } = await run(args);
      expect(out).toMatch(/a worker is there and cannot carry this run on: attempt \d+ .*'dr-tset'/);
      expect(out).not.toMatch(/no worker answers/);
      expect(out).not.toMatch(STACK);
      expect(code).toBe(args[0] === 'status' ? 0 : 3);
    }
  });

  it('status of a run that has ended says why, and where its evidence is', async () => {
    await begin('dr-test', 'ended').then((handle) => handle.result()).catch(() => undefined);
    const { out } = await run(['status', 'ended']);
    expect(out).toMatch(/^failed after /m);
    expect(out).toMatch(/NOT_FOUND: There is no recovery point/);
    expect(out).toMatch(/^evidence .*\.json$/m);
    expect(JSON.parse((await run(['status', 'ended', '--json'])).out)).toMatchObject({ ending: { failure: { type: 'NOT_FOUND' } } });
  });
});
