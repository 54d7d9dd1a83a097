import { execFile, spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer as createHttp2Server, type IncomingHttpHeaders } from 'node:http2';
import { createServer, type AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Client, type Connection } from '@temporalio/client';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { SEARCH_ATTRIBUTES } from '../../contracts/search-attributes.ts';
import { connectClient } from '../../scripts/client-connection.ts';
import { connect } from '../../scripts/cli/connect.ts';
import { START_FLAGS } from '../../scripts/cli/start-flags.ts';
import { REFUSED_FLAGS, TEMPORAL_FLAGS } from '../../scripts/cli/temporal-flags.ts';
import { resolveTemporalCli } from '../../scripts/embedded/temporal-cli.ts';
import { startTemporalServer, type TemporalServer } from '../../scripts/embedded/temporal-server.ts';
import { PATIENT } from '../support/patience.ts';
import { openMutualTls, type MutualTls } from '../support/mutual-tls.ts';

const programs = fileURLToPath(new URL('../../dist/bin', import.meta.url));
let root: string;
let temporal: string;
let server: TemporalServer;
let door: MutualTls;
let connection: Connection;
let client: Client;
let environment: NodeJS.ProcessEnv;
let worker: ChildProcess;
let workerSaid = '';

beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), 'cli-flags-'));
  temporal = (await resolveTemporalCli({ log: () => undefined })).path;
  server = await startTemporalServer({ cliPath: temporal, searchAttributes: { ...SEARCH_ATTRIBUTES, Team: 'Keyword' }, logFile: join(root, 'server.log') });
  door = await openMutualTls(server.address, 'anna');
  connection = await connectClient({ address: server.address });
  client = new Client({ connection });
  const RUNBOOKS_CONFIG = join(root, 'runbooks.yaml');
  await writeFile(RUNBOOKS_CONFIG, 'version: 1\ndrills: { directory: ./drills }\ndatabases:\n  shop:\n    connection: { host: 127.0.0.1, port: 1 }\n    provider: { kind: archive, repository: ./none, walDirectory: ./none }\n');
  for (const [name, text] of [['ca', door.authority], ['cert', door.client.certificate], ['key', door.client.key], ['other-cert', door.stranger.certificate], ['other-key', door.stranger.key]] as const) await writeFile(join(root, `${name}.pem`), text);
  const { NO_COLOR: _, FORCE_COLOR: __, CI: ___, ...rest } = process.env;
  environment = { ...rest, PATH: `${programs}${delimiter}${process.env['PATH'] ?? ''}`, RUNBOOKS_CONFIG };
  worker = spawn(join(programs, 'runbook'), ['worker', ...mutual(), '--identity', 'the night shift'], { env: environment, stdio: ['ignore', 'pipe', 'pipe'] });
  for (const stream of [worker.stdout!, worker.stderr!]) stream.on('data', (chunk: Buffer) => { workerSaid += chunk.toString(); });
});
afterAll(async () => {
  const ended = once(worker, 'close');
  worker.kill('SIGTERM');
  await ended;
  await connection.close();
  await door.stop();
  await server.stop();
  await rm(root, { recursive: true });
});

interface Ended { code: number; out: string }
function run(program: string, args: string[]): Promise<Ended> {
  return new Promise((resolve) => {
    execFile(program, args, { env: environment, timeout: 120_000 }, (error, stdout, stderr) => resolve({ code: error === null ? 0 : Number(error.code ?? -1), out: stdout + stderr }));
  });
}
const runbook = (...args: string[]) => run('runbook', args);
const pem = (name: string) => join(root, `${name}.pem`);
const mutual = (who = '') => ['--address', door.address, '--tls-ca-path', pem('ca'), '--tls-cert-path', pem(`${who}cert`), '--tls-key-path', pem(`${who}key`), '--tls-server-name', door.serverName];
const STACK = /\n {4}at /;

describe('flags', () => {
  it('of temporal workflow start are all known: taken, or refused with a reason', async () => {
    const { out } = await run(temporal, ['workflow', 'start', '--help']);
    const there = [...out.matchAll(/^ +(?:-\w, )?--([a-z0-9-]+)/gm)].map(([, name]) => name).filter((name) => name !== 'help');
    expect(there.length).toBeGreaterThan(50);
    const known = [...TEMPORAL_FLAGS, ...START_FLAGS].map(({ name }) => name);
    expect(there.filter((name) => !known.includes(name!))).toEqual([]);
    // Deprecated, an alias, or in the help of Temporal's CLI nowhere.
    expect(known.filter((name) => !there.includes(name))).toEqual(['name', 'cron']);
  });

  it('of the connection are taken by every command, before its name and behind it', async () => {
    const { out } = await runbook('--help');
    const commands = [...out.matchAll(/^ {2}([a-z]+) \[options\](?: <([a-z-]+)>)?/gm)].map(([, name = '', argument]) => [name, ...(argument === undefined ? [] : ['x'])]);
    expect(commands.length).toBeGreaterThan(15);
    const flags = TEMPORAL_FLAGS.filter(({ name }) => !Object.hasOwn(REFUSED_FLAGS, name) && name !== 'client-connect-timeout')
      // Node looks for a file that any program is told with `--env-file`, and ends where it is none.
      .flatMap(({ name, kind, choices }) => (kind === 'switch' ? [`--${name}`] : [`--${name}`, choices?.[0] ?? (kind === 'list' ? 'a=b' : name === 'env-file' ? pem('ca') : '1s')]));
    // It is the last that is looked at: whoever says this has understood all others.
    const all = [...flags, '--client-connect-timeout', 'soon'];
    const cases = commands.flatMap(([name = '', ...words]) => [[...all, name, ...words], [name, ...words, ...all]]);
    const wrong: string[] = [];
    const next = async (): Promise<void> => {
      for (let args = cases.pop(); args; args = cases.pop()) {
        const ended = await runbook(...args);
        if (ended.code !== 2 || !ended.out.includes('--client-connect-timeout soon is not a duration')) wrong.push(`${args.join(' ')}: ${ended.code} ${ended.out}`);
      }
    };
    await Promise.all([next(), next()]);
    expect(wrong).toEqual([]);
  });

  it('that choose a server are refused where one is started, and those that cannot be honoured everywhere', async () => {
    expect(await runbook('--profile', 'p', 'dev')).toEqual({ code: 2, out: 'runbook: `runbook dev` starts a server of its own, so --profile cannot be for it; `runbook worker` works for a server that is there\n' });
    expect(await runbook('dev', '-n=ops')).toMatchObject({ code: 2, out: expect.stringContaining('--namespace cannot be for it') as string });
    const refused = await runbook('runs', '--tls-disable-host-verification', '-o', 'json');
    expect(refused.code).toBe(2);
    expect(JSON.parse(refused.out)).toMatchObject({ error: expect.stringMatching(/^--tls-disable-host-verification is not supported: /) as string, exitCode: 2 });
  });

  it('of the output do what they do in Temporal\'s CLI', async () => {
    expect((await runbook('list', '--color', 'never')).out).not.toContain('\u001B');
    expect((await run(temporal, ['runbook', 'list', '--color', 'never'])).out).not.toContain('\u001B');
    expect((await runbook('--color', 'always', 'list')).out).toContain('\u001B');
    expect(await runbook('list', '-o', 'none')).toEqual({ code: 0, out: '' });
    const lines = (await run(temporal, ['runbook', 'list', '-o', 'jsonl'])).out.trimEnd().split('\n');
    expect(lines.map((line) => (JSON.parse(line) as { type: string }).type)).toContain('dr-test');
  });
});

describe('mutual TLS by flags alone', () => {
  beforeAll(async () => {
    await vi.waitUntil(() => workerSaid.includes(`worker ready: ${door.address}`), PATIENT);
    await client.workflow.start('dr-test', { workflowId: 'theirs', taskQueue: 'runbooks', args: [{}] });
    await client.workflow.start('dr-test', { workflowId: 'stuck', taskQueue: 'nobody', args: [{}] });
  });

  it('lets a worker in, under the identity that it was given', async () => {
    const { pollers } = await client.workflowService.describeTaskQueue({ namespace: 'default', taskQueue: { name: 'runbooks' }, taskQueueType: 1 });
    expect(pollers?.map(({ identity }) => identity)).toEqual(['the night shift']);
    expect(door.letIn).toContain('anna');
  });

  it('lets every command in that Temporal\'s own CLI is let in with', async () => {
    const [, , ...files] = mutual();
    expect(await run(temporal, ['workflow', 'describe', '--workflow-id', 'theirs', ...mutual()])).toMatchObject({ code: 0 });
    const before = door.letIn.length;
    for (const ended of [
      await runbook('status', 'theirs', ...mutual()),
      await runbook(...files, 'status', 'theirs', '--address', door.address),
      await run(temporal, ['runbook', 'status', 'theirs', ...mutual(), '--disable-config-file', '--disable-config-env']),
      await run(temporal, ['workflow', 'start', 'backup', '--workflow-id', 'begun', '--database', 'shop', ...mutual()]),
      await run(temporal, ['runbook', 'status', 'begun', ...mutual(), '--command-timeout', '1m']),
    ]) expect(ended).toMatchObject({ code: 0, out: expect.stringMatching(/theirs|begun/) as string });
    expect(door.letIn.slice(before)).toEqual(['anna', 'anna', 'anna', 'anna', 'anna']);
  });

  it('is in what they print to type next', async () => {
    const { out } = await run(temporal, ['workflow', 'start', 'backup', '-w', 'next', '-d', 'shop', ...mutual()]);
    const watch = /^watch +(runbook watch .*)$/m.exec(out)?.[1] ?? '';
    expect(await run('bash', ['-c', watch.replace('runbook watch', 'runbook status')])).toMatchObject({ code: 0, out: expect.stringContaining('next') as string });
    const paused = await runbook('pause', 'stuck', '--by', 'anna', '--identity', 'anna at the desk', ...mutual());
    expect(paused.out).not.toContain('at the desk');
    const signal = /(temporal workflow signal --workflow-id stuck --name pause .*)$/m.exec(paused.out)?.[1] ?? '';
    expect(await run('bash', ['-c', signal.replace(/^temporal/, `'${temporal}'`)])).toMatchObject({ code: 0 });
  });

  it('is asked for by an environment of temporal env, or a configuration file, as well', async () => {
    const kept = Object.fromEntries(mutual().map((word, index, all) => [word.slice(2), all[index + 1]]).filter((_, index) => index % 2 === 0)) as Record<string, string>;
    const envFile = join(root, 'temporal.yaml');
    await writeFile(envFile, JSON.stringify({ env: { prod: kept } }));
    const before = door.letIn.length;
    expect(await run(temporal, ['workflow', 'describe', '--workflow-id', 'theirs', '--env', 'prod', '--env-file', envFile])).toMatchObject({ code: 0 });
    expect(await run(temporal, ['runbook', 'status', 'theirs', '--env', 'prod', '--env-file', envFile])).toMatchObject({ code: 0 });
    const file = join(root, 'temporal.toml');
    await writeFile(file, `[profile.ops]\naddress = "${door.address}"\n[profile.ops.tls]\nserver_name = "${door.serverName}"\nserver_ca_cert_path = "${pem('ca')}"\nclient_cert_path = "${pem('cert')}"\nclient_key_path = "${pem('key')}"\n`);
    expect(await run(temporal, ['runbook', 'status', 'theirs', '--config-file', file, '--profile', 'ops'])).toMatchObject({ code: 0 });
    expect(door.letIn.slice(before)).toEqual(['anna', 'anna', 'anna']);
  });

  it('is not had with half of it, or as somebody else', async () => {
    const before = door.letIn.length;
    const without = (flag: string) => mutual().filter((word, index, all) => word !== flag && all[index - 1] !== flag);
    expect(await runbook('status', 'theirs', ...without('--tls-key-path'))).toMatchObject({ code: 2, out: expect.stringContaining('the key is missing') as string });
    expect(await runbook('status', 'theirs', ...mutual().map((word) => (word === pem('key') ? pem('other-key') : word)))).toMatchObject({ code: 2, out: expect.stringMatching(/the certificates or the key .* cannot be used/) as string });
    const strangers = [without('--tls-server-name'), without('--tls-ca-path'), mutual('other-')];
    for (const { code, out } of await Promise.all(strangers.map((flags) => runbook('status', 'theirs', ...flags, '--client-connect-timeout', '1s')))) {
      expect(out).toMatch(/no Temporal server answers/);
      expect(out).not.toMatch(STACK);
      expect(code).toBe(3);
    }
    expect(door.letIn.slice(before).filter((name) => name !== 'anna')).toEqual([]);
  });
});

describe('what a run is started with', () => {
  it('is what the flags of temporal workflow start say, and shows in what Temporal keeps of it', async () => {
    const flags = ['--identity', 'the pager', '--memo', 'ticket="OPS-1"', '--memo', 'n=3', '--search-attribute', 'Team="db"', '--static-summary', 'after the upgrade', '--static-details', 'two\nlines', '--execution-timeout', '2h', '--run-timeout', '1h', '--task-timeout', '20s', '--priority-key', '2', '--id-reuse-policy', 'RejectDuplicate'];
    expect(await run(temporal, ['workflow', 'start', 'backup', '--workflow-id', 'told', '-t', 'nobody', '-d', 'shop', '--address', server.address, ...flags])).toMatchObject({ code: 0 });
    const handle = client.workflow.getHandle('told');
    const { memo, searchAttributes, raw } = await handle.describe();
    expect({ memo, team: searchAttributes['Team'] }).toEqual({ memo: { ticket: 'OPS-1', n: 3 }, team: ['db'] });
    const started = (await handle.fetchHistory()).events?.[0]?.workflowExecutionStartedEventAttributes;
    expect(started).toMatchObject({ identity: 'the pager', priority: { priorityKey: 2 } });
    expect([started?.workflowExecutionTimeout?.seconds, started?.workflowRunTimeout?.seconds, started?.workflowTaskTimeout?.seconds].map(Number)).toEqual([7_200, 3_600, 20]);
    const { userMetadata } = raw.executionConfig ?? {};
    expect([userMetadata?.summary, userMetadata?.details].map((payload) => JSON.parse(Buffer.from(payload?.data ?? []).toString()) as unknown)).toEqual(['after the upgrade', 'two\nlines']);
    await handle.terminate();
    const again = await run(temporal, ['workflow', 'start', 'backup', '--workflow-id', 'told', '-d', 'shop', '--address', server.address, '--id-reuse-policy', 'RejectDuplicate']);
    expect(again).toMatchObject({ code: 2, out: expect.stringContaining('a run with the id "told" is there already') as string });
  });

  it('is nothing, where one of them is not taken or not understood', async () => {
    for (const [flags, sentence] of [[['--start-delay', '1h'], /--start-delay is not supported/], [['--memo', 'x=y'], /its value is not JSON/], [['--search-attribute', 'NoSuch="x"'], /refused: .*NoSuch/]] as const) {
      const { code, out } = await run(temporal, ['workflow', 'start', 'backup', '--workflow-id', 'untold', '-d', 'shop', '--address', server.address, ...flags]);
      expect(out).toMatch(sentence);
      expect(out).not.toMatch(STACK);
      expect(code).toBe(2);
    }
    await expect(client.workflow.getHandle('untold').describe()).rejects.toThrow(/not found/);
  });

  it('has the identity of whoever starts it, or sends it something', async () => {
    expect(await runbook('start', 'backup', '--id', 'by-ben', '-d', 'shop', '--address', server.address, '--identity', 'ben at the desk')).toMatchObject({ code: 0 });
    expect((await client.workflow.getHandle('by-ben').fetchHistory()).events?.[0]?.workflowExecutionStartedEventAttributes?.identity).toBe('ben at the desk');
    const connected = await connect({ address: server.address, identity: 'ben at the desk' });
    await connected.client.workflow.getHandle('stuck').signal('resume', { by: 'ben' });
    await connected.close();
    expect((await client.workflow.getHandle('stuck').fetchHistory()).events?.at(-1)?.workflowExecutionSignaledEventAttributes).toMatchObject({ signalName: 'resume', identity: 'ben at the desk' });
  });
});

describe('a server', () => {
  it('gets headers and keys of flags with each call', async () => {
    const asked: IncomingHttpHeaders[] = [];
    const fake = createHttp2Server().on('stream', (stream, headers) => {
      asked.push(headers);
      stream.respond({ ':status': 200, 'content-type': 'application/grpc', 'grpc-status': '16', 'grpc-message': 'not today' }, { endStream: true });
    }).listen(0, '127.0.0.1');
    await once(fake, 'listening');
    const address = `127.0.0.1:${(fake.address() as AddressInfo).port}`;
    const flags = ['--grpc-meta', 'X-Tenant=blue', '--grpc-meta', 'x-note=a=b'];
    expect(await run(temporal, ['runbook', 'status', 'x', '--address', address, ...flags])).toMatchObject({ code: 2, out: expect.stringContaining('not today') as string });
    expect(await run(temporal, ['workflow', 'start', 'dr-test', '-d', 'shop', '--address', address, ...flags, '--api-key', 'k', '--tls=false'])).toMatchObject({ code: 2, out: expect.stringContaining('not today') as string });
    fake.close();
    expect(asked).toHaveLength(2);
    for (const headers of asked) expect(headers).toMatchObject({ 'x-tenant': 'blue', 'x-note': 'a=b' });
    expect(asked[1]).toMatchObject({ authorization: 'Bearer k' });
  });

  it('that says nothing is waited for as long as the flags say', async () => {
    const silent = createServer().listen(0, '127.0.0.1');
    await once(silent, 'listening');
    const address = `127.0.0.1:${(silent.address() as AddressInfo).port}`;
    const begunAt = performance.now();
    await expect(connect({ address, connectTimeoutMs: 100 })).rejects.toMatchObject({ exitCode: 3 });
    // Without the flag it is 5 s.
    expect(performance.now() - begunAt).toBeLessThan(4_000);
    expect(await runbook('status', 'x', '--address', address, '--client-connect-timeout', '60s', '--command-timeout', '1s', '--json')).toEqual({
      code: 124, out: `${JSON.stringify({ error: '--command-timeout has passed; what was sent to the server stays, and runs go on', exitCode: 124 })}\n`,
    });
    expect(await runbook('worker', '--address', address, '--client-connect-timeout', '500ms', '--command-timeout', '100s')).toMatchObject({ code: 3, out: expect.stringContaining(`no Temporal server answers at ${address}`) as string });
    silent.close();
  });

  it('is worked for until the time of a worker has passed', async () => {
    const { code, out } = await runbook('worker', '--address', server.address, '--command-timeout', '1500ms');
    expect(out).toContain('--command-timeout has passed');
    expect(out).not.toMatch(STACK);
    expect(code).toBe(124);
  });
});
