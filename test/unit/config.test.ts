import { generateKeyPairSync } from 'node:crypto';
import { chmod, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { hostname, tmpdir } from 'node:os';
import { join } from 'node:path';
import { inspect } from 'node:util';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { parse } from 'yaml';
import { KERNEL_GATES } from '../../contracts/gate.ts';
import { evidenceSigner, loadConfiguration, parseConfiguration, resolvePassword } from '../../workers/config.ts';
import { ConfigurationError } from '../../workers/configuration-error.ts';
import { hostName } from '../../workers/host.ts';
import { temporalConnectOptions } from '../../workers/temporal-connection.ts';

const MINIMAL = `version: 1
databases:
  orders:
    connection: { passwordFile: secret }
    provider: { kind: archive, repository: ./backups, walDirectory: /wal }
`;

let directory: string;
beforeEach(async () => { directory = await mkdtemp(join(tmpdir(), 'config-')); });
afterEach(async () => {
  vi.unstubAllEnvs();
  await rm(directory, { recursive: true });
});

function errorsOf(text: string): string[] {
  try {
    parseConfiguration(text, 'r.yaml');
  } catch (error) {
    if (!(error instanceof ConfigurationError)) throw error;
    return error.message.split('\n');
  }
  return [];
}

describe('evidenceSigner', () => {
  const configured = (signingKey?: string) => evidenceSigner({ ...parseConfiguration(MINIMAL, 'r.yaml'), evidence: { directory, copies: [], ...(signingKey === undefined ? {} : { signingKey }) } });

  it('signs with the key that is configured, and with none where there is none', async () => {
    expect(await configured()).toBeUndefined();
    const file = join(directory, 'key.pem');
    await writeFile(file, generateKeyPairSync('ed25519').privateKey.export({ type: 'pkcs8', format: 'pem' }));
    expect((await configured(file))?.('a'.repeat(64))).toMatchObject({ algorithm: 'ed25519' });
  });

  it('refuses a key that is not there, or is none, with the name of the setting', async () => {
    const file = join(directory, 'key.pem');
    await expect(configured(file)).rejects.toThrow(/^evidence\.signingKey: .*key\.pem cannot be read \(ENOENT\)/);
    await writeFile(file, 'hello');
    await expect(configured(file)).rejects.toThrow(/^evidence\.signingKey: .*: this is no private Ed25519 key/);
  });
});

describe('parseConfiguration', () => {
  it('takes a number that a check expects only where YAML reads what PostgreSQL writes', () => {
    const withChecks = (expected: readonly string[]) => `${MINIMAL}    checks:\n${expected.map((value, index) => `      - { name: c${index}, sql: SELECT 1, expect: ${value} }\n`).join('')}`;
    const [database] = Object.values(parseConfiguration(withChecks(['0', '-17', '9007199254740991', '"1234.50"', '"0123"', 'true', '1_000']), 'r.yaml').databases);
    expect(database?.checks.map(({ expect: expected }) => expected)).toEqual(['0', '-17', '9007199254740991', '1234.50', '0123', 'true', '1_000']);
    const others = ['1234.50', '1.5', '1.0', '0123', '0x1F', '0o17', '1e3', '+5', '-0', '12345678901234567890'];
    const errors = errorsOf(withChecks(others));
    expect(errors).toEqual(others.map((_, index) => expect.stringMatching(new RegExp(`^r\\.yaml:${index + 7}:\\d+: databases\\.orders\\.checks\\.${index}\\.expect: put it in quotes, as PostgreSQL writes it`)) as string));
  });

  it('refuses a probe with a user or a password in its URL, and does not repeat it', () => {
    const errors = errorsOf(`${MINIMAL}    probe: { url: 'https://ops:s3cr3t@app.example.com/health' }\n`);
    expect(errors.join()).toContain('leave user and password out of the URL');
    expect(errors.join()).not.toContain('s3cr3t');
  });

  it('reports every error at once, each with line and column, in the order of the file', () => {
    const errors = errorsOf(`version: 1
lease: { maximum: 15 }
databases:
  orders:
    conection: {}
    connection:
      prt: 5432
      port: 99999
    provider: { kind: archive, repository: 7, walDirectory: /wal }
    objectives: { rto: soon }
  Big Name:
    provider: { kind: tape }
`);
    expect(errors.map((line) => line.replace(/^(r\.yaml:\d+:\d+: [^:]*).*/, '$1'))).toEqual([
      'r.yaml:2:19: lease.maximum',
      'r.yaml:5:5: databases.orders.conection',
      'r.yaml:7:7: databases.orders.connection.prt',
      'r.yaml:8:13: databases.orders.connection.port',
      'r.yaml:9:44: databases.orders.provider.repository',
      'r.yaml:10:24: databases.orders.objectives.rto',
      'r.yaml:11:3: databases.Big Name',
    ]);
    expect(errors[1]).toContain('did you mean "connection"?');
    expect(errors[3]).toContain('at most 65535');
    expect(errors[5]).toContain('"soon" is not a duration');
  });

  it('refuses what is given up after no time, or after more than a timer takes: it would never be, or at once', () => {
    const text = `${MINIMAL}    probe: { command: [sleep, "1"], timeout: 30d }\n    manifest: { statementTimeout: 30d, lockTimeout: 0s, maxBlocking: 0ms }\n`;
    expect(errorsOf(text).map((line) => line.replace(/^r\.yaml:\d+:\d+: databases\.orders\./, ''))).toEqual(['probe.timeout', 'manifest.statementTimeout', 'manifest.lockTimeout', 'manifest.maxBlocking'].map((name) => `${name}: has to be longer than 0 and at most 24d`));
    expect(errorsOf(text.replaceAll('30d', '24d').replaceAll(/0m?s/g, '1ms'))).toEqual([]);
  });

  it('refuses settings of drills that are the drill\'s own, each with its place', () => {
    expect(errorsOf(`${MINIMAL}drills:\n  settings:\n    work_mem: 64MB\n    listen_addresses: "*"\n`)).toEqual(["r.yaml:9:23: drills.settings.listen_addresses: belongs to the drill's isolation or recovery and cannot be configured; leave it out"]);
  });

  it('says what is missing where it should be', () => {
    expect(errorsOf('version: 1\ndatabases:\n  orders:\n    connection: {}\n')).toEqual([expect.stringMatching(/^r\.yaml:3:3: databases\.orders\.provider: is missing/)]);
    expect(errorsOf('')).toContainEqual(expect.stringContaining('version: is missing; it must be 1'));
  });

  it('reports broken YAML and keys given twice with their place', () => {
    expect(errorsOf('version: 1\ndatabases: {\n')[0]).toMatch(/^r\.yaml:\d+:\d+: this is not YAML/);
    expect(errorsOf('version: 1\nversion: 1\n')[0]).toMatch(/^r\.yaml:2:1: /);
  });

  it('reports an alias that stands for nothing, with its place', () => {
    expect(errorsOf(MINIMAL.replace('/wal', '*nope').replace('secret', '*nor'))).toEqual([
      expect.stringMatching(/^r\.yaml:4:33: \*nor stands for nothing: there is no &nor before it/), expect.stringMatching(/^r\.yaml:5:69: \*nope stands for nothing/),
    ]);
    expect(errorsOf(MINIMAL.replace('./backups', '&there ./backups').replace('/wal', '*there'))).toEqual([]);
    expect(errorsOf(`a: &a [x]\nb: &b [${'*a,'.repeat(9)}*a]\nc: &c [${'*b,'.repeat(9)}*b]\nd: &d [${'*c,'.repeat(9)}*c]\n`)).toEqual([expect.stringMatching(/^r\.yaml: .*alias/)]);
  });

  it('reports a gate that no runbook has, together with what breaks the schema', () => {
    expect(errorsOf(`${MINIMAL}    gates: { strat: { approvers: [anna] }, start: { quorom: 1 } }\n`)).toEqual([
      'r.yaml:6:14: databases.orders.gates.strat: there is no such gate; there are start, correction', expect.stringMatching(/^r\.yaml:6:\d+: databases\.orders\.gates\.start\.quorom: there is no such setting/),
    ]);
    expect(errorsOf(`${MINIMAL}    gates: { strat: {} }\n`)).toHaveLength(1);
    expect(errorsOf(`${MINIMAL}    gates: { start: {} }\n`)).toEqual([]);
  });

  it('takes the gates that the kernel has in every runbook', () => {
    for (const gate of KERNEL_GATES) expect(errorsOf(`${MINIMAL}    gates: { ${gate}: { approvers: [anna] } }\n`)).toEqual([]);
  });

  it('refuses a gate that asks for more approvals or rejections than there are people who decide', () => {
    const errorsOfGate = (gate: string) => errorsOf(`${MINIMAL}    gates: { start: ${gate} }\n`);
    expect(errorsOfGate('{ approvers: [anna], quorum: 2 }')).toEqual([expect.stringMatching(/gates\.start\.quorum: asks for more approvals than there are approvers \(1\); the gate could only expire$/)]);
    expect(errorsOfGate('{ approvers: [anna], rejections: 5 }')).toEqual([expect.stringMatching(/gates\.start\.rejections: asks for more rejections than there are approvers \(1\); nobody could reject$/)]);
    expect(errorsOfGate('{ approvers: [anna], rejections: 2, quorum: 2, escalation: [{ after: 1h, approvers: [ben] }] }')).toEqual([]);
    expect(errorsOfGate('{ rejections: 5, quorum: 3 }')).toEqual([]);
  });

  it('names the closest form of a probe when it fits none', () => {
    const errors = errorsOf(`${MINIMAL}    probe: { command: [], timeout: 1m }\n`);
    expect(errors).toEqual([expect.stringMatching(/^r\.yaml:6:23: databases\.orders\.probe\.command: must not be empty/)]);
  });

  it('refuses a copy of the evidence in the place of the evidence', () => {
    expect(errorsOf(`${MINIMAL}evidence: { copies: [{ directory: /share }, { directory: ./evidence }] }\n`)).toEqual([expect.stringMatching(/^r\.yaml:6:\d+: evidence\.copies\.1\.directory: is evidence\.directory itself/)]);
  });

  it('takes object stores as copies of the evidence, by their address alone or with more', () => {
    const copiesOf = (copies: string) => parseConfiguration(`${MINIMAL}evidence: { copies: [${copies}] }\n`, 'r.yaml').evidence.copies;
    expect(copiesOf('s3://bucket/of/runbooks, { directory: /share }, { s3: s3://bucket }')).toEqual([{ s3: 's3://bucket/of/runbooks' }, { directory: '/share' }, { s3: 's3://bucket' }]);
    const full = { s3: 's3://my.bucket/x/', endpoint: 'https://objects.example.org:9000', region: 'eu-central-1', forcePathStyle: true };
    expect(copiesOf(JSON.stringify(full))).toEqual([full]);
  });

  it('refuses an object store that is none, or is written where a directory is, and repeats no secret', () => {
    const errorOf = (evidence: string) => errorsOf(`${MINIMAL}evidence: { ${evidence} }\n`);
    const isAddress = 'is s3://bucket/prefix, with folders of letters';
    for (const address of ['s3://AKX:hidden@bucket/x', 's3://bucket/x?versionId=hidden', 's3://Bucket', 's3://bucket//x', 'gs://bucket/x', './share']) {
      for (const [written, path] of [[`'${address}'`, ''], [`{ s3: '${address}' }`, '.s3']] as const) {
        const errors = errorOf(`copies: [${written}]`);
        expect(errors).toEqual([expect.stringContaining(`evidence.copies.0${path}: ${isAddress}`)]);
        expect(errors[0]).not.toContain('hidden');
      }
    }
    expect(errorOf('copies: [{ directory: s3://bucket/x }]')).toEqual([expect.stringContaining('evidence.copies.0.directory: is a directory, and no address; an object store is written as s3: s3://bucket/prefix')]);
    expect(errorOf('directory: s3://bucket/x')).toEqual([expect.stringContaining('evidence.directory: is a directory, and no address; name an object store under evidence.copies')]);
    expect(errorOf(`copies: [{ s3: s3://bucket, endpoint: 'https://AKX:hidden@example.org' }]`)).toEqual([expect.stringMatching(/evidence\.copies\.0\.endpoint: leave user and password out of the URL(?!.*hidden)/)]);
    expect(errorOf('copies: [{ s3: s3://bucket, endpoint: ftp://example.org }]')).toEqual([expect.stringContaining('evidence.copies.0.endpoint: ')]);
    expect(errorOf('copies: [{ s3: s3://bucket, forcePathStile: true }]')).toEqual([expect.stringContaining('did you mean "forcePathStyle"?')]);
    expect(errorOf('copies: [{ directori: /share }]')[0]).toMatch(/evidence\.copies\.0/);
    expect(errorOf('copies: [5]')).toEqual([expect.stringContaining('evidence.copies.0: must be a group of settings')]);
  });

  it('accepts runbooks.example.yaml, which names every setting', async () => {
    const text = await readFile(new URL('../../runbooks.example.yaml', import.meta.url), 'utf8');
    expect(parseConfiguration(text, 'runbooks.example.yaml').databases['orders']?.objectives.rto).toBe(3_600_000);
    const { configurationSchema } = await import('../../contracts/configuration.ts');
    const { z } = await import('zod');
    const unnamed = unnamedSettings(z.toJSONSchema(configurationSchema, { io: 'input', unrepresentable: 'any' }) as Schema, [parse(text)]);
    // One of two that exclude each other is in a comment beside the other.
    expect(unnamed.filter((path) => IN_COMMENTS[path]?.test(text) !== true)).toEqual([]);
    expect(Object.keys(IN_COMMENTS).filter((path) => !unnamed.includes(path))).toEqual([]);
  });
});

/** Settings that the example cannot have, and the comments that say them there. */
const IN_COMMENTS: Record<string, RegExp> = {
  'evidence.signingKey': /^ {2}# signingKey: /m,
  'notifications.channels.*(slack).urlEnv': /# .* Or urlEnv: NAME_OF_A_VARIABLE\.\n {6}urlFile: /,
  'notifications.channels.*(webhook).urlFile': /# Or urlFile, as above\.\n {6}urlEnv: /,
  'notifications.channels.*(webhook).secretEnv': /# .* Or secretEnv: NAME_OF_A_VARIABLE\.\n {6}secretFile: /,
  'databases.*.connection.passwordEnv': /# .* Or passwordEnv: NAME_OF_A_VARIABLE\.\n {6}passwordFile: /,
  'databases.*.probe.url': /# .*\bOr: url: https:.*\n {4}probe:\n {6}command: /,
};

/** What of a JSON schema is looked at here. */
interface Schema { const?: unknown; properties?: Record<string, Schema>; additionalProperties?: Schema | boolean; items?: Schema; anyOf?: Schema[]; oneOf?: Schema[] }

/**
 * The settings of a schema that none of these values has, by their paths: `*` stands for a name that people choose, `[]` for one of
 * a list, and `(archive)` for one of several kinds, of which each has to have its own.
 */
function unnamedSettings(schema: Schema, values: readonly unknown[], path = ''): string[] {
  const { properties = {}, additionalProperties, items, anyOf = [], oneOf = [] } = schema;
  const objects = values.filter((value): value is Record<string, unknown> => typeof value === 'object' && value !== null && !Array.isArray(value));
  const below = (name: string) => (path === '' ? name : `${path}.${name}`);
  return [
    ...Object.entries(properties).flatMap(([name, inner]) => {
      const found = objects.filter((value) => Object.hasOwn(value, name)).map((value) => value[name]);
      return found.length === 0 ? [below(name)] : unnamedSettings(inner, found, below(name));
    }),
    ...(typeof additionalProperties === 'object' ? unnamedSettings(additionalProperties, objects.flatMap((value) => Object.values(value)), below('*')) : []),
    ...(items ? unnamedSettings(items, values.flatMap((value) => (Array.isArray(value) ? value as unknown[] : [])), `${path}[]`) : []),
    ...[...anyOf, ...oneOf].flatMap((branch) => {
      const { kind } = branch.properties ?? {};
      return kind === undefined ? unnamedSettings(branch, values, path) : unnamedSettings(branch, objects.filter((value) => value['kind'] === kind.const), `${path}(${String(kind.const)})`);
    }),
  ];
}

describe('loadConfiguration', () => {
  it('loads a policy for corrections, as the reference describes it', async () => {
    const file = join(directory, 'r.yaml');
    await writeFile(file, `${MINIMAL}    failedSteps: { wait: 1h }\n    gates: { start: { approvers: [anna] }, correction: { approvers: [anna, ben] } }\n`);
    expect(Object.keys((await loadConfiguration(file)).configuration.databases['orders']?.gates ?? {})).toEqual(['start', 'correction']);
  });

  it('resolves relative paths against the file, and finds it by RUNBOOKS_CONFIG', async () => {
    const file = join(directory, 'r.yaml');
    await writeFile(file, `${MINIMAL}    probe: { command: [./probe.sh] }\nevidence: { copies: [{ directory: ./share }, s3://bucket/x] }\n`);
    vi.stubEnv('RUNBOOKS_CONFIG', file);
    const { configuration } = await loadConfiguration();
    expect(configuration.databases['orders']).toMatchObject({
      connection: { passwordFile: join(directory, 'secret') }, provider: { repository: join(directory, 'backups'), walDirectory: '/wal' }, probe: { command: [join(directory, 'probe.sh')] },
    });
    expect(configuration.evidence).toEqual({ directory: join(directory, 'evidence'), copies: [{ directory: join(directory, 'share') }, { s3: 's3://bucket/x' }] });
  });

  it('warns of a password that everybody can read, and of one that is not there', async () => {
    await writeFile(join(directory, 'r.yaml'), MINIMAL);
    expect((await loadConfiguration(join(directory, 'r.yaml'))).warnings).toEqual([expect.stringContaining('cannot be read')]);
    await writeFile(join(directory, 'secret'), 'x');
    await chmod(join(directory, 'secret'), 0o644);
    expect((await loadConfiguration(join(directory, 'r.yaml'))).warnings).toEqual([expect.stringContaining('chmod 600')]);
    await chmod(join(directory, 'secret'), 0o600);
    expect((await loadConfiguration(join(directory, 'r.yaml'))).warnings).toEqual([]);
  });

  it('says how to make a configuration when there is none', async () => {
    await expect(loadConfiguration(join(directory, 'none.yaml'))).rejects.toThrow(/runbook init/);
  });
});

describe('hostName', () => {
  it('is what RUNBOOKS_HOST says, else what the host calls itself; what cannot be a name is refused', () => {
    vi.stubEnv('RUNBOOKS_HOST', '');
    expect(hostName()).toBe(hostname());
    vi.stubEnv('RUNBOOKS_HOST', 'db-restore-1.example');
    expect(hostName()).toBe('db-restore-1.example');
    vi.stubEnv('RUNBOOKS_HOST', 'two words');
    expect(() => hostName()).toThrow(ConfigurationError);
  });
});

describe('resolvePassword', () => {
  it('takes the file without its last newline, or the variable, and refuses what is empty', async () => {
    await writeFile(join(directory, 'secret'), ' p w \n');
    expect(await resolvePassword({ passwordFile: join(directory, 'secret') })).toBe(' p w ');
    vi.stubEnv('ORDERS_PASSWORD', 'pw');
    expect(await resolvePassword({ passwordEnv: 'ORDERS_PASSWORD' })).toBe('pw');
    expect(await resolvePassword({})).toBeUndefined();
    vi.stubEnv('ORDERS_PASSWORD', '');
    await expect(resolvePassword({ passwordEnv: 'ORDERS_PASSWORD' })).rejects.toThrow(ConfigurationError);
    await expect(resolvePassword({ passwordFile: join(directory, 'none') })).rejects.toThrow(/cannot be read/);
  });
});

describe('temporalConnectOptions', () => {
  it('puts flags over variables over the profile over localhost', async () => {
    const file = join(directory, 'temporal.toml');
    vi.stubEnv('TEMPORAL_CONFIG_FILE', file);
    for (const name of ['TEMPORAL_ADDRESS', 'TEMPORAL_NAMESPACE', 'TEMPORAL_PROFILE']) vi.stubEnv(name, undefined);
    expect(await temporalConnectOptions()).toMatchObject({ address: 'localhost:7233', namespace: 'default' });
    await writeFile(file, '[profile.default]\naddress = "profile:1"\nnamespace = "p"\n[profile.other]\naddress = "other:1"\n');
    expect(await temporalConnectOptions()).toMatchObject({ address: 'profile:1', namespace: 'p' });
    expect(await temporalConnectOptions({ profile: 'other' })).toMatchObject({ address: 'other:1', namespace: 'default' });
    vi.stubEnv('TEMPORAL_ADDRESS', 'variable:1');
    expect(await temporalConnectOptions()).toMatchObject({ address: 'variable:1', namespace: 'p' });
    expect(await temporalConnectOptions({ address: 'flag:1', namespace: 'f' })).toMatchObject({ address: 'flag:1', namespace: 'f', connectionOptions: { address: 'flag:1' } });
  });

  it('takes nothing of a profile, nor of variables, for a server that was started here', async () => {
    const file = join(directory, 'temporal.toml');
    await writeFile(file, '[profile.default]\nnamespace = "p"\napi_key = "k"\n[profile.default.tls]\nserver_name = "s"\n');
    vi.stubEnv('TEMPORAL_CONFIG_FILE', file);
    vi.stubEnv('TEMPORAL_NAMESPACE', 'ops');
    vi.stubEnv('TEMPORAL_API_KEY', 'k');
    const { connectionOptions, ...rest } = await temporalConnectOptions({ address: 'ours:1', own: true });
    expect(rest).toEqual({ address: 'ours:1', namespace: 'default' });
    expect(connectionOptions.apiKey).toBeUndefined();
    expect(connectionOptions.tls ?? false).toBe(false);
    expect(connectionOptions.metadata ?? {}).toEqual({});
  });

  it('says where a profile file is wrong, and quotes nothing of it: that can be a key', async () => {
    const file = join(directory, 'temporal.toml');
    vi.stubEnv('TEMPORAL_CONFIG_FILE', file);
    await writeFile(file, '[profile.default]\naddress = "h:1"\napi_key = "s3cr3t\n');
    const error = await temporalConnectOptions().catch((reason: unknown) => reason);
    expect(error).toBeInstanceOf(ConfigurationError);
    expect(inspect(error, { depth: 5 })).not.toContain('s3cr3t');
    expect((error as Error).message).toMatch(/at line 3, column \d+\); correct its file/);
  });

  it('refuses a profile that is not there', async () => {
    await expect(temporalConnectOptions({ profile: 'none' })).rejects.toThrow(ConfigurationError);
  });
});
