import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { temporalConnectOptions, type TemporalFlags } from '../../workers/temporal-connection.ts';
import { CommandError } from '../../scripts/cli/exit.ts';
import { goDurationMs } from '../../scripts/cli/go-duration.ts';
import { withNamedEnvironment } from '../../scripts/cli/named-environment.ts';
import { print } from '../../scripts/cli/output.ts';
import { choosingFlag, commandTimeoutOf, connectionOf, REFUSED_FLAGS, spellFlags, TEMPORAL_FLAGS, wantsJson } from '../../scripts/cli/temporal-flags.ts';
import { ConfigurationError } from '../../workers/configuration-error.ts';
import { certificateAuthority } from '../support/certificates.ts';

const given = (flags: Record<string, unknown>) => connectionOf((name) => flags[name]);
let directory: string;
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'flags-'));
  for (const name of Object.keys(process.env)) if (name.startsWith('TEMPORAL_')) vi.stubEnv(name, undefined);
  vi.stubEnv('TEMPORAL_CONFIG_FILE', join(directory, 'none.toml'));
});
afterEach(async () => {
  vi.unstubAllEnvs();
  vi.restoreAllMocks();
  await rm(directory, { recursive: true });
});
const file = async (name: string, text: string): Promise<string> => {
  await writeFile(join(directory, name), text);
  return join(directory, name);
};

const OF_CONNECTION: [name: string, value: unknown, flags: object][] = [
  ['address', 'h:1', { address: 'h:1' }], ['namespace', 'n', { namespace: 'n' }], ['profile', 'p', { profile: 'p' }], ['api-key', 'k', { apiKey: 'k' }], ['identity', 'i', { identity: 'i' }],
  ['tls', true, { tls: true }], ['tls', false, { tls: false }], ['env', 'e', { env: 'e' }], ['env-file', 'f', { envFile: 'f' }],
  ['tls-cert-path', 'c', { environment: { TEMPORAL_TLS_CLIENT_CERT_PATH: 'c' } }], ['tls-cert-data', 'c', { environment: { TEMPORAL_TLS_CLIENT_CERT_DATA: 'c' } }],
  ['tls-key-path', 'c', { environment: { TEMPORAL_TLS_CLIENT_KEY_PATH: 'c' } }], ['tls-key-data', 'c', { environment: { TEMPORAL_TLS_CLIENT_KEY_DATA: 'c' } }],
  ['tls-ca-path', 'c', { environment: { TEMPORAL_TLS_SERVER_CA_CERT_PATH: 'c' } }], ['tls-ca-data', 'c', { environment: { TEMPORAL_TLS_SERVER_CA_CERT_DATA: 'c' } }],
  ['tls-server-name', 's', { environment: { TEMPORAL_TLS_SERVER_NAME: 's' } }], ['config-file', 'f', { environment: { TEMPORAL_CONFIG_FILE: 'f' } }],
  ['disable-config-env', true, { withoutVariables: true }], ['disable-config-file', true, { withoutFile: true }],
  ['grpc-meta', ['X-Tenant=a=b', 'y='], { metadata: { 'x-tenant': 'a=b', y: '' } }], ['client-connect-timeout', '1m', { connectTimeoutMs: 60_000 }], ['client-connect-timeout', '0s', {}],
];
const OF_NO_CONNECTION = ['command-timeout', 'output', 'color', 'log-format', 'log-level', 'time-format', 'no-json-shorthand-payloads'];

describe('a flag of the connection', () => {
  it.each(OF_CONNECTION)('--%s %j', (name, value, flags) => expect(given({ [name]: value })).toEqual(flags));

  it.each(OF_NO_CONNECTION)('--%s says nothing of the connection', (name) => {
    expect(given({ [name]: name === 'command-timeout' ? '1s' : 'json' })).toEqual({});
  });

  it('is one of all that there are, each of which is tested here', () => {
    const tested = new Set([...OF_CONNECTION.map(([name]) => name), ...OF_NO_CONNECTION, ...Object.keys(REFUSED_FLAGS)]);
    expect(TEMPORAL_FLAGS.map(({ name }) => name).toSorted()).toEqual([...tested].toSorted());
  });

  it.each(Object.keys(REFUSED_FLAGS))('--%s is refused with a reason, and not when it is off', (name) => {
    expect(() => given({ [name]: true })).toThrow(CommandError);
    expect(() => given({ [name]: 'x' })).toThrow(`--${name} is not supported: `);
    expect(given({ [name]: false })).toEqual({});
  });

  it.each([['s3cr3t', /KEY=VALUE/], ['a b=s3cr3t', /KEY=VALUE/], ['key-bin=s3cr3t', /printable ASCII/], ['key=s3cr3t\n', /printable ASCII/]])('--grpc-meta %j is refused, and not repeated', (pair, sentence) => {
    expect(() => given({ 'grpc-meta': [pair] })).toThrow(sentence);
    expect(() => given({ 'grpc-meta': [pair] })).not.toThrow(/s3cr3t/);
  });

  it('that chooses a server is told from the others', () => {
    expect(choosingFlag((name) => ({ identity: 'i', color: 'never', 'config-file': 'f' })[name])).toBe('config-file');
    expect(choosingFlag((name) => ({ identity: 'i', output: 'json', 'command-timeout': '1s', 'disable-config-env': true })[name])).toBeUndefined();
  });
});

describe('durations', () => {
  it.each([['1h30m', 5_400_000], ['5.25d15m', 454_500_000], ['.5s', 500], ['2us', 0.002], ['0', 0], ['0s', 0], ['+1s', 1_000]])('%s', (text, ms) => expect(goDurationMs(text)).toBeCloseTo(ms));
  it.each(['', '7', '-1s', '1 s', 's', '1y', '1h30', '+'])('%j is none', (text) => expect(goDurationMs(text)).toBeUndefined());
  it('bound a command, unless they are 0', () => {
    expect(commandTimeoutOf(() => '2s')).toBe(2_000);
    expect(commandTimeoutOf(() => '0s')).toBeUndefined();
    expect(() => commandTimeoutOf(() => 'soon')).toThrow(/--command-timeout soon is not a duration/);
  });
});

it('switches with a value, and values right behind a short flag, are spelled as our parsers read them', () => {
  expect(spellFlags(['--tls=true', '-n=a=b', '--disable-config-env=1', 'x'])).toEqual(['--tls', '--namespace=a=b', '--disable-config-env', 'x']);
  expect(spellFlags(['--tls=F', '--disable-config-file=false', '--tls=maybe', '--address=false', '-i={}', '--', '--tls=true'])).toEqual(['--no-tls', '--tls=maybe', '--address=false', '-i={}', '--', '--tls=true']);
});

it('whether errors are told as JSON is seen before a command is understood', () => {
  expect(['--json', '-o json', '-o=jsonl', '--output json', '--output=json'].map((words) => wantsJson(['status', ...words.split(' ')]))).toEqual([true, true, true, true, true]);
  expect([['-o', 'text'], ['--json-ish'], []].map(wantsJson)).toEqual([false, false, false]);
});

it('--output jsonl prints an object on each line', () => {
  let printed = '';
  vi.spyOn(process.stdout, 'write').mockImplementation((text) => { printed += String(text); return true; });
  print({ json: true, output: 'jsonl' }, [{ a: 1 }, { b: [2] }], () => []);
  print({ json: true, output: 'jsonl' }, { c: 3 }, () => []);
  print({ output: 'text' }, {}, () => ['for people']);
  expect(printed).toBe('{"a":1}\n{"b":[2]}\n{"c":3}\nfor people\n');
});

describe('the connection', () => {
  const optionsOf = async (flags: TemporalFlags) => (await temporalConnectOptions(flags)).connectionOptions;

  it('has certificates from flags, over those of variables, also where variables and the file are left out', async () => {
    const authority = certificateAuthority('ca');
    const { certificate, key } = authority.certify('client');
    const flags = given({ 'tls-cert-path': await file('c.pem', certificate), 'tls-key-path': await file('k.pem', key), 'tls-ca-data': authority.certificate, 'tls-server-name': 's' });
    vi.stubEnv('TEMPORAL_TLS_SERVER_NAME', 'of the variable');
    vi.stubEnv('TEMPORAL_ADDRESS', 'variable:1');
    const bytes = (text: string) => new Uint8Array(Buffer.from(text));
    const tls = { serverNameOverride: 's', serverRootCACertificate: bytes(authority.certificate), clientCertPair: { crt: bytes(certificate), key: bytes(key) } };
    expect(await optionsOf(flags)).toMatchObject({ address: 'variable:1', tls });
    expect(await optionsOf({ ...flags, withoutVariables: true })).toMatchObject({ address: 'localhost:7233', tls });
    expect(await optionsOf({ ...flags, withoutVariables: true, withoutFile: true })).toMatchObject({ address: 'localhost:7233', tls });
  });

  it('leaves out the file, or the variables, but for those that name the file', async () => {
    vi.stubEnv('TEMPORAL_CONFIG_FILE', await file('t.toml', '[profile.default]\naddress = "profile:1"\nnamespace = "p"\n'));
    vi.stubEnv('TEMPORAL_ADDRESS', 'variable:1');
    expect(await temporalConnectOptions({ withoutVariables: true })).toMatchObject({ address: 'profile:1', namespace: 'p' });
    expect(await temporalConnectOptions({ withoutFile: true })).toMatchObject({ address: 'variable:1', namespace: 'default' });
    expect(await temporalConnectOptions(given({ 'config-file': await file('o.toml', '[profile.default]\nnamespace = "o"\n') }))).toMatchObject({ address: 'variable:1', namespace: 'o' });
  });

  it('has headers of flags over those of the profile, and an address that names the namespace', async () => {
    vi.stubEnv('TEMPORAL_CONFIG_FILE', await file('t.toml', '[profile.default]\ngrpc_meta = { a = "1", b = "1" }\n'));
    expect(await temporalConnectOptions(given({ 'grpc-meta': ['B=2'], address: '${namespace}.example:1', namespace: 'ops' }))).toMatchObject({ address: 'ops.example:1', connectionOptions: { metadata: { a: '1', b: '2' } } });
  });

  it.each([['the key', { 'tls-cert-data': 'x' }], ['the certificate', { 'tls-key-data': 'x' }]])('without %s of the client is refused: the server would see nobody', async (missing, flags) => {
    await expect(temporalConnectOptions(given(flags))).rejects.toThrow(`${missing} is missing); correct the flags of the command`);
    await expect(temporalConnectOptions(given(flags))).rejects.toBeInstanceOf(ConfigurationError);
  });

  it('has TLS with all its certificates where flags say so, whatever the profile says, and none where they say that', async () => {
    const authority = certificateAuthority('ca');
    const { certificate, key } = authority.certify('client');
    const flags = given({ 'tls-cert-path': await file('c.pem', certificate), 'tls-key-path': await file('k.pem', key), 'tls-ca-data': authority.certificate });
    const tls = { serverRootCACertificate: expect.any(Uint8Array) as unknown, clientCertPair: { crt: expect.any(Uint8Array) as unknown, key: expect.any(Uint8Array) as unknown } };
    vi.stubEnv('TEMPORAL_CONFIG_FILE', await file('t.toml', '[profile.default]\napi_key = "k"\n[profile.default.tls]\ndisabled = true\n'));
    expect((await optionsOf({})).tls).toBeFalsy();
    expect(await optionsOf(flags)).toMatchObject({ tls });
    expect(await optionsOf({ ...flags, tls: true })).toMatchObject({ tls });
    expect((await optionsOf({ ...flags, tls: false })).tls).toBe(false);
    vi.stubEnv('TEMPORAL_CONFIG_FILE', await file('h.toml', '[profile.default.tls]\nclient_cert_data = "half"\n'));
    await expect(optionsOf({})).rejects.toThrow('the key is missing');
    expect((await optionsOf({ tls: false })).tls).toBe(false);
    vi.stubEnv('TEMPORAL_TLS', 'false');
    expect(await optionsOf({ ...flags, tls: true, withoutFile: true })).toMatchObject({ tls });
  });

  it('with an API key has TLS, unless it is said that there is none', async () => {
    expect((await optionsOf({ apiKey: 'k' })).tls).toBe(true);
    expect((await optionsOf({ apiKey: 'k', tls: false })).tls).toBe(false);
    vi.stubEnv('TEMPORAL_TLS', 'false');
    expect((await optionsOf({ apiKey: 'k' })).tls).toBe(false);
    expect((await optionsOf({ apiKey: 'k', tls: true })).tls).toBeTypeOf('object');
    vi.stubEnv('TEMPORAL_TLS', undefined);
    vi.stubEnv('TEMPORAL_CONFIG_FILE', await file('t.toml', '[profile.default.tls]\ndisabled = true\n'));
    expect((await optionsOf({ apiKey: 'k' })).tls).toBe(false);
    expect((await optionsOf({ apiKey: 'k', ...given({ 'tls-server-name': 's' }) })).tls).toMatchObject({ serverNameOverride: 's' });
  });

  it('has what flags name as a file, where a variable has it as it is, and the other way round', async () => {
    const authority = certificateAuthority('ca');
    vi.stubEnv('TEMPORAL_TLS_SERVER_CA_CERT_DATA', 'of the variable');
    expect(await optionsOf(given({ 'tls-ca-path': await file('ca.pem', authority.certificate) }))).toMatchObject({ tls: { serverRootCACertificate: new Uint8Array(Buffer.from(authority.certificate)) } });
    vi.unstubAllEnvs();
    vi.stubEnv('TEMPORAL_TLS_SERVER_CA_CERT_PATH', join(directory, 'no.pem'));
    expect(await optionsOf(given({ 'tls-ca-data': authority.certificate }))).toMatchObject({ tls: { serverRootCACertificate: new Uint8Array(Buffer.from(authority.certificate)) } });
  });

  it('does not come from elsewhere where the file is not there that was asked for', async () => {
    await expect(temporalConnectOptions(given({ 'config-file': join(directory, 'no.toml') }))).rejects.toThrow(/ENOENT.*no\.toml.*correct the flags/);
    await expect(temporalConnectOptions(given({ 'tls-ca-path': join(directory, 'no.pem') }))).rejects.toThrow(/ENOENT.*no\.pem/);
  });
});

describe('an environment of temporal env', () => {
  const yaml = 'env:\n  prod:\n    address: prod:1\n    namespace: p\n    tls: "true"\n    api-key: s3cr3t\n    tls-server-name: s\n    grpc-meta: a=1\n    task-queue: other\n';

  it('says what flags do not say', async () => {
    const envFile = await file('temporal.yaml', yaml);
    expect(await withNamedEnvironment({ env: 'prod', envFile })).toEqual({ address: 'prod:1', namespace: 'p', tls: true, apiKey: 's3cr3t', environment: { TEMPORAL_TLS_SERVER_NAME: 's' }, metadata: { a: '1' } });
    expect(await withNamedEnvironment({ env: 'prod', envFile, namespace: 'f', ...given({ 'tls-ca-path': 'c', 'grpc-meta': ['b=2'] }) })).toMatchObject({ address: 'prod:1', namespace: 'f', environment: { TEMPORAL_TLS_SERVER_NAME: 's', TEMPORAL_TLS_SERVER_CA_CERT_PATH: 'c' }, metadata: { a: '1', b: '2' } });
    expect(await withNamedEnvironment({ envFile, namespace: 'f' })).toEqual({ namespace: 'f' });
    expect(await withNamedEnvironment({ namespace: 'f' })).toEqual({ namespace: 'f' });
  });

  it('is looked for where Temporal keeps it, and need not be there unless it is asked for', async () => {
    vi.stubEnv('HOME', directory);
    expect(await withNamedEnvironment({ env: 'default' })).toEqual({});
    await expect(withNamedEnvironment({ env: 'prod' })).rejects.toThrow(/no environment "prod" in .*\.config\/temporalio\/temporal\.yaml/);
    await expect(withNamedEnvironment({ env: 'default', envFile: join(directory, 'no.yaml') })).rejects.toThrow(/cannot be read from .*no\.yaml \(ENOENT\)/);
    await expect(withNamedEnvironment({ env: 'toString', envFile: await file('e.yaml', yaml) })).rejects.toThrow(/no environment "toString"/);
  });

  it('that cannot be read is quoted nowhere: it may hold a key', async () => {
    const error = await withNamedEnvironment({ env: 'prod', envFile: await file('e.yaml', 'env:\n  prod:\n    api-key: "s3cr3t\n') }).catch((reason: unknown) => reason as Error);
    expect(error).toBeInstanceOf(CommandError);
    expect((error as Error).message).toMatch(/no YAML at line \d/);
    expect(JSON.stringify(error) + String((error as Error).cause)).not.toContain('s3cr3t');
  });

  it.each(['', ' text', ' [a]'])('that is no list of flags (%j) is refused: the server would be another one', async (said) => {
    await expect(withNamedEnvironment({ env: 'prod', envFile: await file('e.yaml', `env:\n  prod:${said}\n`) })).rejects.toThrow(/environment "prod" in .*e\.yaml has no flags/);
  });

  it.each([['path', 'data', 'PATH', 'DATA'], ['data', 'path', 'DATA', 'PATH']])('that has a certificate by its %s gives way to the %s of a flag', async (kept, flag, keptEnd, flagEnd) => {
    const envFile = await file('e.yaml', `env: { a: { tls-cert-${kept}: c, tls-key-${kept}: k, tls-ca-${kept}: ca, tls-server-name: s } }\n`);
    const found = await withNamedEnvironment({ env: 'a', envFile, ...given({ [`tls-cert-${flag}`]: 'C', [`tls-key-${flag}`]: 'K' }) });
    expect(found.environment).toEqual({
      [`TEMPORAL_TLS_CLIENT_CERT_${flagEnd}`]: 'C', [`TEMPORAL_TLS_CLIENT_KEY_${flagEnd}`]: 'K', [`TEMPORAL_TLS_SERVER_CA_CERT_${keptEnd}`]: 'ca', TEMPORAL_TLS_SERVER_NAME: 's',
    });
  });

  it('that says that there is no TLS gives way to flags that ask for it', async () => {
    const envFile = await file('e.yaml', 'env: { a: { tls: "false", tls-ca-path: ca, api-key: k } }\n');
    const tlsOf = async (flags: TemporalFlags) => (await withNamedEnvironment({ env: 'a', envFile, ...flags })).tls;
    expect(await tlsOf({})).toBe(false);
    expect(await tlsOf(given({ 'config-file': 'f', 'api-key': 'k' }))).toBe(false);
    expect(await tlsOf(given({ 'tls-server-name': 's' }))).toBeUndefined();
    expect(await tlsOf(given({ 'tls-server-name': 's', tls: false }))).toBe(false);
    expect(await tlsOf({ tls: true })).toBe(true);
    const connection = await temporalConnectOptions(await withNamedEnvironment({ env: 'a', envFile, ...given({ 'tls-ca-data': 'CA', 'tls-server-name': 's' }) }));
    expect(connection.connectionOptions.tls).toMatchObject({ serverNameOverride: 's', serverRootCACertificate: new Uint8Array(Buffer.from('CA')) });
  });

  it('with what cannot be honoured is refused', async () => {
    await expect(withNamedEnvironment({ env: 'a', envFile: await file('e.yaml', 'env: { a: { codec-endpoint: "http://c" } }\n') })).rejects.toThrow(/--codec-endpoint is not supported/);
    await expect(withNamedEnvironment({ env: 'a', envFile: await file('f.yaml', 'env: { a: { tls-disable-host-verification: "false" } }\n') })).resolves.toEqual({});
  });
});
