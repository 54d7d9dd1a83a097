import { mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { stripVTControlCharacters } from 'node:util';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { DrTest } from '../../contracts/dr-test.ts';
import { plain } from '../../contracts/plain.ts';
import { RUNBOOKS } from '../../contracts/runbooks.ts';
import { listEvidence } from '../../scripts/cli/evidence-files.ts';
import { CommandError, EXIT, exitCodeOf } from '../../scripts/cli/exit.ts';
import { outcomeLines } from '../../scripts/cli/outcome-lines.ts';
import { parseExtensionArguments, typeOfProgram } from '../../scripts/cli/extension-arguments.ts';
import { firstConfiguration, parseConnectionString } from '../../scripts/cli/first-configuration.ts';
import { init } from '../../scripts/cli/init.ts';
import { buildInput, contractOf, gateAhead, targetOf, workflowIdFor } from '../../scripts/cli/run-input.ts';
import { mergeRows, type RunRow } from '../../scripts/cli/runs.ts';
import { quote } from '../../contracts/quote.ts';
import { ourCommand, signalCommand } from '../../scripts/cli/printed-command.ts';
import { stateDirectory } from '../../workers/user-directories.ts';
import { usualPlaces, webUiLink } from '../../scripts/cli/web-ui.ts';
import { parseConfiguration } from '../../workers/config.ts';
import { ConfigurationError } from '../../workers/configuration-error.ts';
import { sampleEvidence } from './report-fixture.ts';

const program = (name: string, ...args: string[]) => ['/usr/bin/node', `/usr/local/bin/${name}`, ...args];
const start = (...args: string[]) => parseExtensionArguments(program('temporal-workflow-start-dr_test', ...args));

describe('main', () => {
  it('imports nothing but commander and what tells exit codes before a command is known', async () => {
    const source = await readFile(new URL('../../scripts/cli/main.ts', import.meta.url), 'utf8');
    const fromIn = (text: string) => [...text.matchAll(/^import .* from '(.*)';$/gm)].map(([, from]) => from);
    expect(fromIn(source)).toEqual(['commander', './appearance.ts', './command-limit.ts', './exit.ts', './temporal-flags.ts']);
    const importsOf = async (file: string) => fromIn(await readFile(new URL(`../../scripts/cli/${file}`, import.meta.url), 'utf8'));
    expect(await importsOf('temporal-flags.ts')).toEqual(['./exit.ts', './go-duration.ts']);
    expect(await importsOf('command-limit.ts')).toEqual(['./exit.ts']);
    expect(await importsOf('exit.ts')).toEqual(['../../contracts/plain.ts']);
    for (const file of ['appearance.ts', 'go-duration.ts', '../../contracts/plain.ts']) expect(await importsOf(file)).toEqual([]);
  });
});

it('what `runbook dev` cannot make again is kept where no cache is emptied', () => {
  expect(stateDirectory({ XDG_STATE_HOME: '/s', XDG_CACHE_HOME: '/c' })).toBe('/s/durable-runbooks');
  expect(stateDirectory({ XDG_STATE_HOME: '' })).toMatch(/\.local\/state\/durable-runbooks$/);
});

it.each(['constructor', '__proto__', 'toString'])('there is no runbook "%s"', (type) => {
  expect(() => contractOf(type)).toThrow(`there is no runbook "${type}"`);
});

describe('exit codes', () => {
  it('tell wrong use and configuration from failure', () => {
    expect(exitCodeOf(new ConfigurationError('x'))).toBe(EXIT.usage);
    expect(exitCodeOf(new CommandError(EXIT.unreachable, 'x'))).toBe(3);
    expect(exitCodeOf(new TypeError('x'))).toBe(EXIT.failed);
  });
});

describe('the extension of the Temporal CLI', () => {
  it('learns from its own name what to start, for every runbook that the package installs', async () => {
    const { bin } = JSON.parse(await readFile(new URL('../../package.json', import.meta.url), 'utf8')) as { bin: Record<string, string> };
    const types = Object.keys(bin).map(typeOfProgram).filter((type) => type !== undefined);
    expect(types.toSorted()).toEqual(Object.keys(RUNBOOKS).toSorted());
    expect(typeOfProgram('/x/temporal-workflow-start-dr_test.cmd')).toBe('dr-test');
  });

  it('takes flags of temporal workflow start, long, short and with =', () => {
    expect(start('-i', '{"database":"a"}', '-w', 'id', '-t', 'q', '--address=h:1', '-n', 'ns', '-o', 'json', '--tls=true', '--color', 'never', '--tls-ca-path', '/ca', '--name', 'dr-test')).toMatchObject({
      type: 'dr-test', input: '{"database":"a"}', workflowId: 'id', taskQueue: 'q', json: true, connection: { address: 'h:1', namespace: 'ns', tls: true, environment: { TEMPORAL_TLS_SERVER_CA_CERT_PATH: '/ca' } }, workflow: {},
    });
    expect(start('--tls=false', '-i={}', '-n=ops', '--fail-existing=true', '--input-base64=false', '--tls-disable-host-verification=false')).toMatchObject({ input: '{}', connection: { tls: false, namespace: 'ops' } });
    expect(start('--log-level', 'debug', '--log-format', 'json', '--time-format', 'iso', '--no-json-shorthand-payloads')).toMatchObject({ connection: {}, workflow: {}, json: false });
    expect(start().connection).toEqual({});
  });

  it('passes on what concerns the workflow', () => {
    expect(start('--memo', 'ticket="OPS-1"', '--memo', 'n=[1]', '--search-attribute', 'Team="db"', '--search-attribute', 'Regions=["a","b"]', '--static-summary', 's', '--static-details', 'd').workflow)
      .toEqual({ memo: { ticket: 'OPS-1', n: [1] }, searchAttributes: { Team: ['db'], Regions: ['a', 'b'] }, staticSummary: 's', staticDetails: 'd' });
    expect(start('--execution-timeout', '1d2h', '--run-timeout', '90m', '--task-timeout', '1m30s').workflow).toEqual({ workflowExecutionTimeout: 93_600_000, workflowRunTimeout: 5_400_000, workflowTaskTimeout: 90_000 });
    expect(start('--execution-timeout', '0s', '--id-conflict-policy', 'Fail').workflow).toEqual({});
    expect(start('--id-reuse-policy', 'RejectDuplicate', '--priority-key', '2', '--fairness-key', 'f', '--fairness-weight', '0.5').workflow)
      .toEqual({ workflowIdReusePolicy: 'REJECT_DUPLICATE', priority: { priorityKey: 2, fairnessKey: 'f', fairnessWeight: 0.5 } });
  });

  it.each([
    [['--speed', '9'], /does not take '--speed'/], [['--type', 'backup'], /contradicts/],
    [['orders'], /"orders" is not understood/], [['-o', 'yaml'], /there are text, json/], [['-i', '{}', '--input-file', 'f'], /not both/], [['-i', '{}', '-i', '{}'], /takes one input/], [['--tls-disable-host-verification'], /not supported: certificates are always verified/], [['-w', ''], /--workflow-id is empty/],
    [['--start-delay', '1h'], /--start-delay is not supported: .*time to recover/], [['--cron', '* * * * *'], /--cron is not supported: use a schedule/], [['--headers', 'a=1'], /--headers is not supported/], [['--input-base64'], /--input-base64 is not supported/], [['--input-meta', 'a=b'], /--input-meta is not supported/],
    [['--id-conflict-policy', 'TerminateExisting'], /--id-conflict-policy TerminateExisting is not supported/], [['--id-conflict-policy', 'UseExisting'], /there is Fail/], [['--id-reuse-policy', 'TerminateIfRunning'], /there are AllowDuplicate, /],
    [['--memo', 'x=y'], /--memo x: its value is not JSON/], [['--memo', 'x'], /--memo x is not understood/], [['--search-attribute', 'RunbookTarget="a"'], /a run sets it itself/], [['--search-attribute', 'A={}'], /--search-attribute A: its value has to be/], [['--search-attribute', 'A=[]'], /has to be/],
    [['--execution-timeout', '5'], /--execution-timeout 5 is not a duration/], [['--priority-key', '1.5'], /--priority-key 1.5 is no such number/], [['--fairness-weight', '0'], /no such number/], [['--memo', ''], /--memo is empty/],
  ])('refuses %j with a sentence', (args, sentence) => {
    expect(() => start(...args)).toThrow(sentence);
    expect(() => start(...args)).toThrow(CommandError);
  });
});

describe('buildInput', () => {
  it('puts flags over --input, and names the system user as requester only when nobody is named', () => {
    const input = buildInput(DrTest, { input: '{"database":"a","reason":"r"}', database: 'b', recoveryPoint: '2026-11-21T03:00:00Z' }, 'carol');
    expect(input).toEqual({ database: 'b', reason: 'r', recoveryPoint: { time: '2026-11-21T03:00:00Z' }, requester: 'carol' });
    expect(buildInput(DrTest, { input: '{"requester":"dave"}', recoveryPoint: 'base-1' }, 'carol')).toEqual({ requester: 'dave', recoveryPoint: { id: 'base-1' } });
    expect(buildInput(DrTest, { allowNotProven: true }, 'carol')).toEqual({ allowNotProven: true, requester: 'carol' });
  });

  it.each([['{', /not JSON/], ['[]', /must be a JSON object/], ['{"dept":"quick"}', /there is no "dept"; there are database, .*depth/], ['{"depth":"deep"}', /depth: must be "quick" or "standard"/],
    ['{"recoveryPoint":"newest"}', /recoveryPoint: must be "latest", "random", \{"id"/], ['{"recoveryPoint":{"time":"noon"}}', /recoveryPoint\.time: write an instant as in/], ['{"recoveryPoint":{"id":"a b"}}', /recoveryPoint\.id: an id has/],
    ['{"database":7}', /database: must be text/], [`{"reason":"${'x'.repeat(501)}"}`, /reason: is longer than 500 characters/]])('refuses %s', (input, sentence) => {
    expect(() => buildInput(DrTest, { input }, 'carol')).toThrow(sentence);
  });

  it.each(['2026-11-21', '2026-11-21 03:00'])('refuses %s, which is no instant and looks like no id', (recoveryPoint) => {
    expect(() => buildInput(DrTest, { recoveryPoint }, 'carol')).toThrow(/neither an id nor an instant: write an instant as in 2026-11-21T03:00:00Z/);
  });

  it.each(['constructor', 'toString', '__proto__'])('knows no runbook "%s"', (type) => {
    expect(() => contractOf(type)).toThrow(/there is no runbook .* there are dr-test, backup, manifest/);
  });

  it('knows whether a run will stop at a gate, where there is a configuration', () => {
    const configuration = (gates: string) => parseConfiguration(`version: 1\ndatabases: { one: { connection: {}, provider: { kind: archive, repository: a, walDirectory: b }, gates: ${gates} } }`, 'f');
    expect(gateAhead(DrTest, 'one', configuration('{ start: { assurance: principal } }'))).toMatchObject({ assurance: 'principal' });
    expect(gateAhead(DrTest, 'one', configuration('{}'))).toBeNull();
    expect(gateAhead(DrTest, 'one', undefined)).toMatchObject({ assurance: 'claimed' });
    expect(gateAhead(RUNBOOKS['backup']!, 'one', undefined)).toBeNull();
  });

  it('knows the runbooks and the databases there are', () => {
    expect(() => contractOf('dr_test')).toThrow(/there are dr-test, backup, manifest/);
    const database = '{ connection: {}, provider: { kind: archive, repository: a, walDirectory: b } }';
    const two = parseConfiguration(`version: 1\ndatabases: { one: ${database}, two: ${database} }`, 'f');
    expect(() => targetOf(DrTest, {}, two)).toThrow(/--database: one, two/);
    expect(() => targetOf(DrTest, { database: 'three' }, two)).toThrow(/it has one, two/);
    expect(targetOf(DrTest, { database: 'two' }, two)).toBe('two');
    expect(targetOf(DrTest, {}, undefined)).toBeUndefined();
  });

  it('makes ids of type, target and time', () => {
    expect(workflowIdFor('dr-test', 'orders', new Date(Date.UTC(2026, 10, 21, 3, 4, 5, 67)))).toBe('dr-test/orders/20261121T030405.067Z');
  });
});

describe('what start prints', () => {
  it('links into the configured web UI, or into the one beside a local server if it shows the run, with the id as one part of the path', async () => {
    const run = { address: '127.0.0.1:7233', namespace: 'default', workflowId: 'dr-test/a b', runId: 'r-1' };
    expect(await webUiLink({ ...run, webUi: 'https://t.example.com/' })).toBe('https://t.example.com/namespaces/default/workflows/dr-test%2Fa%20b/r-1/history');
    const fetched = vi.spyOn(globalThis, 'fetch').mockImplementation(() => Promise.resolve(new Response('{"runId":"r-1"}')));
    expect(await webUiLink({ ...run, webUi: undefined })).toBe('http://127.0.0.1:8233/namespaces/default/workflows/dr-test%2Fa%20b/r-1/history');
    fetched.mockImplementation(() => Promise.resolve(new Response('{"runId":"of another server"}')));
    expect(await webUiLink({ ...run, webUi: undefined })).toBeUndefined();
    fetched.mockRestore();
    expect(usualPlaces('localhost:9000')).toEqual(['http://localhost:10000']);
    expect(usualPlaces('temporal.example.com:7233')).toEqual([]);
  });

  it('repeats the connection that was given, without secrets', () => {
    expect(ourCommand({}, 'watch', 'a/b')).toBe('runbook watch a/b');
    const flags = { address: 'h:1', namespace: 'my ops', profile: 'p', tls: true, apiKey: 's3cr3t', environment: { TEMPORAL_TLS_CLIENT_KEY_DATA: 's3cr3t', TEMPORAL_TLS_CLIENT_KEY_PATH: '/k y' } };
    expect(ourCommand(flags, 'watch', 'a b')).toBe(`runbook watch 'a b' --address h:1 --namespace 'my ops' --profile p --tls-key-path '/k y' --tls`);
    const others = { env: 'e', envFile: '/e f', tls: false, withoutVariables: true, withoutFile: true, identity: 'i', metadata: { authorization: 's3cr3t' }, connectTimeoutMs: 1 };
    expect(ourCommand(others, 'watch', 'a')).toBe(`runbook watch a --env e --env-file '/e f' --tls=false --disable-config-env --disable-config-file`);
    expect(signalCommand({ address: 'h:1' }, 'a', 'approve', { gate: 'start', by: `o'neil` })).toBe(`temporal workflow signal --workflow-id a --name approve --input '{"gate":"start","by":"o'\\''neil"}' --address h:1`);
  });

  it('quotes an id that a shell would take apart', () => {
    expect(quote('dr-test/orders/1')).toBe('dr-test/orders/1');
    expect(quote(`a'; rm -rf $HOME`)).toBe(`'a'\\''; rm -rf $HOME'`);
    expect(quote('--all')).toBe(`'--all'`);
    expect(quote(`a'\n\u202Eb`)).toBe(`$'a\\'\\u000a\\u202eb'`);
    expect(quote('a\u{E0041}\u200E')).toBe(`$'a\\U000e0041\\u200e'`);
    expect(quote('')).toBe(`''`);
  });

  it('keeps what came from elsewhere within its line', () => {
    expect(plain('alice\n2026 forged\tx\r\ny')).toBe('alice 2026 forged x y');
    expect(plain('a\u2028b')).toBe('a b');
    expect(plain('a\u202Eb\u2066c\u001B[2J')).toBe('a\uFFFDb\uFFFDc\uFFFD[2J');
    expect(plain('a\u200Eb\u200Fc\u061Cd\u{E0000}\u{E0041}\u{E007F}e \u{1F600} \uD83D')).toBe('a\uFFFDb\uFFFDc\uFFFDd\uFFFD\uFFFD\uFFFDe \u{1F600} \uD83D');
  });
});

describe('init', () => {
  let directory: string;
  beforeEach(async () => { directory = await mkdtemp(join(tmpdir(), 'cli-')); });
  afterEach(async () => {
    vi.restoreAllMocks();
    await rm(directory, { recursive: true });
  });

  it('writes a valid configuration without the password, and never over one that is there', async () => {
    let printed = '';
    vi.spyOn(process.stdout, 'write').mockImplementation((text) => { printed += String(text); return true; });
    const file = join(directory, 'runbooks.yaml');
    expect(await init('postgresql://run:s3cr3t%21@db:5433/My%20Orders?sslmode=require', { config: file })).toBe(EXIT.done);
    const text = await readFile(file, 'utf8');
    expect(text + printed).not.toMatch(/s3cr3t/);
    expect(parseConfiguration(text, file).databases['my-orders']?.connection).toMatchObject({ host: 'db', port: 5433, database: 'My Orders', user: 'run', sslmode: 'require' });
    await expect(init('postgresql://a@b/c', { config: file })).rejects.toThrow(/is there already/);
    expect(await readFile(file, 'utf8')).toBe(text);
    expect((await stat(directory)).isDirectory()).toBe(true);
  });

  it.each(['not a url s3cr3t', 'mysql://u:s3cr3t@h/d', 'postgresql://u:%zzs3cr3t@h/%zz'])('refuses %s without repeating it', (text) => {
    expect(() => parseConnectionString(text)).toThrow(CommandError);
    expect(() => parseConnectionString(text)).not.toThrow(/s3cr3t/);
  });

  it.each([
    ['postgresql://u@h/d?sslmode=verify_full', /sslmode that is not known; there are disable.*verify-full/],
    ['postgresql://u:123#s3cr3t@h/d', /write # as %23/], ['postgresql://u:12/s3cr3t@h/d', /\/ as %2F/], ['postgresql://u:12?s3cr3t@h/d', /\? as %3F/],
    ['postgresql://u@h/d?port=abc', /port that is no number/], ['postgresql://u@h/d?port=70000', /port that is no number/], ['postgresql://u@h1,h2/d', /several hosts/],
  ])('refuses %s, which would become a wrong file', (text, sentence) => {
    expect(() => parseConnectionString(text)).toThrow(sentence);
    expect(() => parseConnectionString(text)).not.toThrow(/s3cr3t|h1/);
  });

  it('writes an address without the brackets of a URL, and a strict sslmode for one that is nearly so', () => {
    expect(parseConnectionString('postgresql://u@[::1]:5433/d?sslmode=verify-ca')).toMatchObject({ host: '::1', port: 5433, sslmode: 'verify-full' });
    expect(parseConnectionString('postgresql://u:p%23%40@h/d?host=/run/postgresql')).toMatchObject({ host: '/run/postgresql', user: 'u', sslmode: 'disable' });
  });

  it('says what to do next for the file that it wrote, and steers no terminal', async () => {
    let printed = '';
    vi.spyOn(process.stdout, 'write').mockImplementation((text) => { printed += String(text); return true; });
    const file = join(directory, 'other file.yaml');
    await init('postgresql://u%1B%5B2J%0Ax@h/d', { config: file });
    expect(printed).toContain(`runbook doctor --config '${file}'`);
    expect(printed).toContain(`cat > ${quote(join(directory, 'd.password'))}`);
    expect(printed).toContain('the password of u\uFFFD[2J x into');
    expect(parseConfiguration(await readFile(file, 'utf8'), file).databases['d']?.connection.user).toBe('u\u001B[2J\nx');
  });

  it('keeps text that YAML would read as something else', () => {
    const { text } = firstConfiguration(parseConnectionString('postgresql://no@h/12345'));
    expect(parseConfiguration(text, 'f').databases['12345']?.connection).toMatchObject({ user: 'no', database: '12345' });
  });

  it('lists evidence newest first and counts what is none', async () => {
    const older = sampleEvidence({ startedAt: '2026-11-20T00:00:00.000Z', runId: 'older' });
    await writeFile(join(directory, 'a.json'), JSON.stringify(older));
    await writeFile(join(directory, 'b.json'), JSON.stringify(sampleEvidence()));
    await writeFile(join(directory, 'c.json'), '{"schemaVersion":1}');
    const { found, unreadable } = await listEvidence(directory);
    expect(found.map(({ evidence }) => evidence.runId)).toEqual([sampleEvidence().runId, 'older']);
    expect(unreadable).toEqual([join(directory, 'c.json')]);
    expect((await listEvidence(join(directory, 'none'))).found).toEqual([]);
  });
});

describe('outcomeLines', () => {
  const ending = { workflowId: 'w', runId: 'r', type: 'dr-test', status: 'FAILED', failure: { type: 'TEARDOWN_FAILED', message: 'left' }, result: { verdict: { restore: 'sound' }, teardown: { outcome: 'failed', provenAbsent: false, left: 'the copy may still be there' } } };
  it('is loud about what a run left behind, also when it failed for another reason', () => {
    expect(stripVTControlCharacters(outcomeLines(ending).join('\n'))).toBe('failed\nTEARDOWN FAILED: the copy may still be there\nverdict   restore sound');
    const other = outcomeLines({ ...ending, failure: { type: 'RESTORE_UNSOUND', message: 'differs' } });
    expect(stripVTControlCharacters(other.join('\n'))).toContain('RESTORE_UNSOUND: differs\nTEARDOWN FAILED: the copy may still be there');
    expect(outcomeLines({ ...ending, result: null }).join('\n')).toContain('TEARDOWN_FAILED: left');
  });
});

describe('mergeRows', () => {
  it('lets evidence speak for a run that both know, and lists runs that the server forgot', () => {
    const row = { workflowId: 'w', runId: sampleEvidence().runId, runbook: 'dr-test', target: null, startedAt: '2026-11-21T03:00:00.000Z', seconds: 1, outcome: 'completed', verdict: null, teardown: null, rtaSeconds: null, judgedRta: null, rpaSeconds: null, evidence: null } satisfies RunRow;
    const rows = mergeRows([row, { ...row, runId: 'running', startedAt: '2026-11-22T03:00:00.000Z', outcome: 'running' }], [
      { file: '/e/1.json', evidence: sampleEvidence() }, { file: '/e/2.json', evidence: sampleEvidence({ runId: 'forgotten', startedAt: '2026-01-01T00:00:00.000Z' }) },
    ]);
    expect(rows.map(({ runId }) => runId)).toEqual(['running', row.runId, 'forgotten']);
    expect(rows[1]).toMatchObject({ outcome: 'succeeded', rtaSeconds: 380, judgedRta: { seconds: 282, words: ', without waiting for people' }, rpaSeconds: 412, verdict: { restore: 'sound' } });
  });
});

describe('outcomeLines', () => {
  it('shows the recovery time that the verdict is about, by its name', () => {
    const ending = { workflowId: 'w', runId: 'r', type: 'dr-test', status: 'COMPLETED', failure: null };
    const result = { verdict: { restore: 'sound', rto: 'met', rpo: 'notSet' }, rtaSeconds: 600, judgedRtaSeconds: 7.25, rtaIs: 'withoutComparison', rpaSeconds: 1 };
    expect(outcomeLines({ ...ending, result })).toContain('RTA       7.25 s without waiting or comparison');
    expect(outcomeLines({ ...ending, result: { ...result, judgedRtaSeconds: 600, rtaIs: 'total' } })).toContain('RTA       10 min 00 s');
  });
});
