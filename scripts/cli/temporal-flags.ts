import { CommandError, EXIT } from './exit.ts';
import { goDurationMs } from './go-duration.ts';

/** One of Temporal's own flags: with a value, with one each time that it is given (`list`), or without (`switch`). */
export interface TemporalFlag { name: string; kind: 'value' | 'list' | 'switch'; short?: string; choices?: readonly string[] }

/** What flags of Temporal's own CLI say about how to reach the server. */
export interface ConnectionFlags {
  address?: string;
  namespace?: string;
  profile?: string;
  apiKey?: string;
  tls?: boolean;
  environment?: Record<string, string>;
  metadata?: Record<string, string>;
  withoutVariables?: boolean;
  withoutFile?: boolean;
  identity?: string;
  connectTimeoutMs?: number;
  env?: string;
  envFile?: string;
}

/** Those that mean the same as a variable of Temporal's profiles. */
export const AS_VARIABLE: Readonly<Record<string, string>> = {
  'tls-ca-data': 'TEMPORAL_TLS_SERVER_CA_CERT_DATA', 'tls-ca-path': 'TEMPORAL_TLS_SERVER_CA_CERT_PATH',
  'tls-cert-data': 'TEMPORAL_TLS_CLIENT_CERT_DATA', 'tls-cert-path': 'TEMPORAL_TLS_CLIENT_CERT_PATH',
  'tls-key-data': 'TEMPORAL_TLS_CLIENT_KEY_DATA', 'tls-key-path': 'TEMPORAL_TLS_CLIENT_KEY_PATH',
  'tls-server-name': 'TEMPORAL_TLS_SERVER_NAME', 'config-file': 'TEMPORAL_CONFIG_FILE',
};
/** They choose a server, or open it. */
const CHOOSING = ['address', 'namespace', 'profile', 'api-key', 'tls', 'grpc-meta', 'env', 'env-file', ...Object.keys(AS_VARIABLE)];

const NO_CODEC = 'our workers use no codec, so what it encodes could not be read';
/** What each would change cannot be done here: why not, and what else to do. */
export const REFUSED_FLAGS: Readonly<Record<string, string>> = {
  'tls-disable-host-verification': 'certificates are always verified; say with --tls-server-name whose the certificate is, and with --tls-ca-path who signed it',
  'client-authority': 'workers cannot send another one than that of the server; --tls-server-name names the server in its certificate',
  'codec-endpoint': NO_CODEC, 'codec-auth': NO_CODEC, 'codec-header': NO_CODEC,
};

const value = (name: string): TemporalFlag => ({ name, kind: 'value' });
const flag = (name: string): TemporalFlag => ({ name, kind: 'switch' });

/** All flags of Temporal's CLI (1.8) that concern no single one of its commands. Those for its log, and for how it shows times and payloads, have no effect here. */
export const TEMPORAL_FLAGS: readonly TemporalFlag[] = [
  value('address'), { ...value('namespace'), short: 'n' }, value('profile'), value('api-key'), flag('tls'),
  ...Object.keys(AS_VARIABLE).map(value),
  flag('disable-config-env'), flag('disable-config-file'), value('env'), value('env-file'),
  { name: 'grpc-meta', kind: 'list' }, value('identity'), value('client-connect-timeout'), value('command-timeout'),
  { ...value('output'), short: 'o', choices: ['text', 'json', 'jsonl', 'none'] }, { ...value('color'), choices: ['always', 'never', 'auto'] },
  value('log-format'), value('log-level'), value('time-format'), flag('no-json-shorthand-payloads'),
  flag('tls-disable-host-verification'), value('client-authority'), value('codec-endpoint'), value('codec-auth'), { name: 'codec-header', kind: 'list' },
];

/**
 * What the flags of a command say about the connection; `given` tells what a flag was given, by its name.
 *
 * @throws CommandError for one that cannot be honoured, or is written in a way that nobody understands
 */
export function connectionOf(given: (name: string) => unknown): ConnectionFlags {
  for (const [name, why] of Object.entries(REFUSED_FLAGS)) {
    if (given(name) !== undefined && given(name) !== false) throw new CommandError(EXIT.usage, `--${name} is not supported: ${why}`);
  }
  const text = (name: string) => (typeof given(name) === 'string' ? given(name) as string : undefined);
  const variables = Object.entries(AS_VARIABLE).flatMap(([name, variable]) => { const said = text(name); return said === undefined ? [] : [[variable, said]]; });
  const headers = given('grpc-meta');
  return defined({
    address: text('address'), namespace: text('namespace'), profile: text('profile'), apiKey: text('api-key'),
    tls: typeof given('tls') === 'boolean' ? given('tls') as boolean : undefined,
    environment: variables.length > 0 ? Object.fromEntries(variables) as Record<string, string> : undefined,
    metadata: Array.isArray(headers) && headers.length > 0 ? metadataOf(headers as string[]) : undefined,
    withoutVariables: given('disable-config-env') === true ? true : undefined, withoutFile: given('disable-config-file') === true ? true : undefined,
    identity: text('identity'), env: text('env'), envFile: text('env-file'),
    // Temporal's CLI calls 0 "no time-out", and gives up all the same when nobody answers: it means the usual one.
    connectTimeoutMs: durationOf('client-connect-timeout', given) || undefined,
  });
}

/** How long the command may take, in milliseconds; undefined where there is no bound. */
export function commandTimeoutOf(given: (name: string) => unknown): number | undefined {
  return durationOf('command-timeout', given) || undefined;
}

/** The first flag that was given and chooses a server, or opens it. */
export function choosingFlag(given: (name: string) => unknown): string | undefined {
  return CHOOSING.find((name) => given(name) !== undefined);
}

/** A flag's duration in milliseconds; undefined where it was not given. @throws CommandError for what is none */
export function durationOf(name: string, given: (name: string) => unknown): number | undefined {
  const said = given(name);
  if (typeof said !== 'string') return undefined;
  const ms = goDurationMs(said);
  if (ms === undefined) throw new CommandError(EXIT.usage, `--${name} ${said} is not a duration; write it as in 30s, 1h30m or 2d`);
  return ms;
}

/** The same without what is undefined. */
export function defined<T extends object>(values: T): { [K in keyof T]?: Exclude<T[K], undefined> } {
  return Object.fromEntries(Object.entries(values).filter(([, one]) => one !== undefined)) as { [K in keyof T]?: Exclude<T[K], undefined> };
}

/** Headers for gRPC, which takes no others. What they hold may be a key: it is not repeated. */
function metadataOf(pairs: readonly string[]): Record<string, string> {
  return Object.fromEntries(pairs.map((pair) => {
    const [, key = '', said = ''] = /^([^=]*)=(.*)$/s.exec(pair) ?? [];
    if (!/^[0-9A-Za-z_.-]+$/.test(key)) throw new CommandError(EXIT.usage, '--grpc-meta is written KEY=VALUE, with a key of letters, digits, and _ . -');
    if (/-bin$/i.test(key) || !/^[ -~]*$/.test(said)) throw new CommandError(EXIT.usage, `--grpc-meta ${key}: only values of printable ASCII can be sent`);
    return [key.toLowerCase(), said];
  }));
}

const TRUE = /^(?:1|t|T|true|TRUE|True)$/;
const FALSE = /^(?:0|f|F|false|FALSE|False)$/;

/** Temporal's CLI takes a switch with a value (`--tls=false`) and a value right behind a short flag (`-n=ops`): the same as our parsers read it. */
export function spellFlags(words: readonly string[], flags: readonly TemporalFlag[] = TEMPORAL_FLAGS): string[] {
  const end = words.indexOf('--');
  return words.flatMap((word, index) => {
    if (end !== -1 && index > end) return [word];
    const [, short, said] = /^-([a-z])=(.*)$/s.exec(word) ?? [];
    const long = flags.find((one) => one.short !== undefined && one.short === short);
    if (long) return [`--${long.name}=${said}`];
    const [, name = '', when = ''] = /^--([a-z0-9-]+)=(.*)$/s.exec(word) ?? [];
    if (!flags.some((one) => one.name === name && one.kind === 'switch')) return [word];
    // Only what is on by itself needs to be told that it is off.
    return TRUE.test(when) ? [`--${name}`] : FALSE.test(when) ? (name === 'tls' ? ['--no-tls'] : []) : [word];
  });
}

/** Whether errors are told as JSON, of a command that may not have been understood. */
export function wantsJson(words: readonly string[]): boolean {
  return / (?:--json|(?:-o|--output)[ =]jsonl?) /.test(` ${words.join(' ')} `);
}
