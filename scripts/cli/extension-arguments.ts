import { basename } from 'node:path';
import { parseArgs } from 'node:util';
import { CommandError, EXIT } from './exit.ts';

/** What `temporal workflow start <runbook> …` asked for. */
export interface ExtensionRequest {
  type: string;
  help: boolean;
  json: boolean;
  input: string | undefined;
  inputFile: string | undefined;
  workflowId: string | undefined;
  taskQueue: string | undefined;
  config: string | undefined;
  database: string | undefined;
  reason: string | undefined;
  address: string | undefined;
  namespace: string | undefined;
  profile: string | undefined;
  apiKey: string | undefined;
  tls: boolean | undefined;
  /** Variables by which Temporal's own profile code takes certificates and the like. */
  environment: Record<string, string>;
}

/** Temporal CLI flags that mean the same as a variable of Temporal's profiles. */
const AS_VARIABLE: Record<string, string> = {
  'tls-ca-data': 'TEMPORAL_TLS_SERVER_CA_CERT_DATA', 'tls-ca-path': 'TEMPORAL_TLS_SERVER_CA_CERT_PATH',
  'tls-cert-data': 'TEMPORAL_TLS_CLIENT_CERT_DATA', 'tls-cert-path': 'TEMPORAL_TLS_CLIENT_CERT_PATH',
  'tls-key-data': 'TEMPORAL_TLS_CLIENT_KEY_DATA', 'tls-key-path': 'TEMPORAL_TLS_CLIENT_KEY_PATH',
  'tls-server-name': 'TEMPORAL_TLS_SERVER_NAME', 'config-file': 'TEMPORAL_CONFIG_FILE',
};
/** They change how Temporal's CLI looks or waits; here they have nothing to act on. */
const WITHOUT_EFFECT = ['color', 'log-format', 'log-level', 'time-format', 'command-timeout', 'client-connect-timeout'];
/** Where an empty text says no more than none does. */
const MAY_BE_EMPTY = ['input', 'reason'];
const text = { type: 'string' } as const;
const flag = { type: 'boolean' } as const;

const OPTIONS = {
  help: { ...flag, short: 'h' }, json: flag,
  input: { ...text, short: 'i' }, 'input-file': text, 'workflow-id': { ...text, short: 'w' }, type: text, 'task-queue': { ...text, short: 't' },
  address: text, namespace: { ...text, short: 'n' }, profile: text, 'api-key': text, tls: flag, output: { ...text, short: 'o' },
  env: text, 'env-file': text, 'fail-existing': flag,
  config: { ...text, short: 'c' }, database: { ...text, short: 'd' }, reason: text,
  'tls-disable-host-verification': flag, 'disable-config-env': flag, 'disable-config-file': flag, 'no-json-shorthand-payloads': flag,
  ...Object.fromEntries([...Object.keys(AS_VARIABLE), ...WITHOUT_EFFECT].map((name) => [name, text])),
} as const;

/** `temporal-workflow-start-dr_test` is how Temporal's CLI spells the extension for `temporal workflow start dr-test`. */
export function typeOfProgram(program: string): string | undefined {
  const type = /^temporal-workflow-start-(.+?)(\.(cmd|exe|js))?$/.exec(basename(program))?.[1];
  return type?.replaceAll('_', '-');
}

/**
 * Reads the arguments of the extension: `argv` as Node has it, with the program's name second.
 *
 * @throws CommandError with a sentence about the first argument that it cannot honour
 */
export function parseExtensionArguments(argv: readonly string[]): ExtensionRequest {
  let parsed;
  try {
    parsed = parseArgs({ args: argv.slice(2).flatMap(spellSwitch), options: OPTIONS, allowPositionals: true, allowNegative: true, strict: true });
  } catch (cause) {
    const sentence = ((cause as Error).message.split('. ')[0] ?? '').replace(/^Unknown option/, 'this command does not take');
    throw new CommandError(EXIT.usage, `${sentence}; it takes --input, --workflow-id, --task-queue, --database and the connection flags, and \`temporal workflow start --type TYPE\` takes all others`, { cause });
  }
  const values: Record<string, string | boolean | undefined> = parsed.values;
  const value = (name: string): string | undefined => (typeof values[name] === 'string' ? values[name] : undefined);
  const empty = Object.keys(values).find((name) => values[name] === '' && !MAY_BE_EMPTY.includes(name));
  if (empty !== undefined) throw new CommandError(EXIT.usage, `--${empty} is empty; leave it out, or give it a value`);
  const type = typeOfProgram(argv[1] ?? '') ?? parsed.positionals[0];
  if (type === undefined) throw new CommandError(EXIT.usage, 'this program is run by `temporal workflow start RUNBOOK`: it learns from its own name what to start');
  const extra = typeOfProgram(argv[1] ?? '') === undefined ? parsed.positionals.slice(1) : parsed.positionals;
  if (extra.length > 0) throw new CommandError(EXIT.usage, `"${extra[0]}" is not understood; input is given as in --input '{"database":"orders"}'`);
  if (value('type') !== undefined && value('type') !== type) throw new CommandError(EXIT.usage, `--type ${value('type')} contradicts "${type}"; leave it out`);
  // Ignoring one of these would start the run somewhere else.
  const unread = ['env', 'env-file'].find((name) => value(name) !== undefined && value(name) !== 'default');
  if (unread !== undefined) throw new CommandError(EXIT.usage, `--${unread} is not supported here; use --profile, or --address and --namespace`);
  const output = value('output') ?? 'text';
  if (!['text', 'json', 'jsonl', 'none'].includes(output)) throw new CommandError(EXIT.usage, `--output ${output} is not known; there are text, json, jsonl, none`);
  for (const refused of ['tls-disable-host-verification', 'disable-config-env', 'disable-config-file', 'no-json-shorthand-payloads']) {
    if (values[refused] === true) throw new CommandError(EXIT.usage, `--${refused} is not supported here; set up a profile, or use \`temporal workflow start --type ${type}\``);
  }
  if (value('input') !== undefined && value('input-file') !== undefined) throw new CommandError(EXIT.usage, 'give --input or --input-file, not both');
  return {
    type, help: values['help'] === true, json: values['json'] === true || output === 'json' || output === 'jsonl',
    input: value('input'), inputFile: value('input-file'), workflowId: value('workflow-id'), taskQueue: value('task-queue'),
    config: value('config'), database: value('database'), reason: value('reason'),
    address: value('address'), namespace: value('namespace'), profile: value('profile'), apiKey: value('api-key'),
    tls: typeof values['tls'] === 'boolean' ? values['tls'] : undefined,
    environment: Object.fromEntries(Object.entries(AS_VARIABLE).flatMap(([name, variable]) => { const given = value(name); return given === undefined ? [] : [[variable, given]]; })),
  };
}

/** Temporal's CLI takes switches with a value (`--tls=false`), which parseArgs does not. */
function spellSwitch(argument: string): string[] {
  const match = /^--([a-z-]+)=(true|false)$/.exec(argument);
  const option = (OPTIONS as Record<string, { type: string }>)[match?.[1] ?? ''];
  if (!match || option?.type !== 'boolean') return [argument];
  return match[2] === 'true' ? [`--${match[1]}`] : match[1] === 'tls' ? ['--no-tls'] : [];
}

/** What `--help` shows. */
export const EXTENSION_HELP = (type: string): string => `temporal workflow start ${type} [flags]

  -i, --input JSON        input, as in '{"database":"orders"}'; --input-file FILE reads it from a file
  -d, --database NAME     database of the configuration; may be left out when there is only one
      --reason TEXT       goes into the evidence
  -w, --workflow-id ID    default: ${type}/<database>/<time>
  -t, --task-queue NAME   default: runbooks
  -o, --output text|json
  -c, --config FILE       configuration file (default: RUNBOOKS_CONFIG or ./runbooks.yaml)
      --address, --namespace, --profile, --api-key, --tls, --tls-…: as in Temporal's CLI

More: runbook start --help`;
