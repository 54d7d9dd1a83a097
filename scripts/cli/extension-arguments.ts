import { basename } from 'node:path';
import { parseArgs } from 'node:util';
import { CommandError, EXIT } from './exit.ts';
import { START_FLAGS, workflowFlagsOf, type WorkflowFlags } from './start-flags.ts';
import { commandTimeoutOf, connectionOf, spellFlags, TEMPORAL_FLAGS, type ConnectionFlags } from './temporal-flags.ts';

/** What `temporal workflow start <runbook> …` asked for. */
export interface ExtensionRequest {
  type: string;
  help: boolean;
  json: boolean;
  output: string | undefined;
  color: string | undefined;
  input: string | undefined;
  inputFile: string | undefined;
  workflowId: string | undefined;
  taskQueue: string | undefined;
  config: string | undefined;
  database: string | undefined;
  reason: string | undefined;
  commandTimeoutMs: number | undefined;
  connection: ConnectionFlags;
  workflow: WorkflowFlags;
}

/** Where an empty text says no more than none does. */
const MAY_BE_EMPTY = ['input', 'reason'];

const FLAGS = [...TEMPORAL_FLAGS, ...START_FLAGS];

const OPTIONS = {
  help: { type: 'boolean', short: 'h' }, json: { type: 'boolean' },
  config: { type: 'string', short: 'c' }, database: { type: 'string', short: 'd' }, reason: { type: 'string' },
  ...Object.fromEntries(FLAGS.map(({ name, kind, short }) => [name, {
    type: kind === 'switch' ? 'boolean' as const : 'string' as const, ...(kind === 'list' ? { multiple: true } : {}), ...(short === undefined ? {} : { short }),
  }])),
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
  const { values, positionals } = parse(argv.slice(2));
  const given = (name: string): unknown => values[name];
  const text = (name: string): string | undefined => (typeof values[name] === 'string' ? values[name] : undefined);
  const empty = Object.keys(values).find((name) => [values[name]].flat().includes('') && !MAY_BE_EMPTY.includes(name));
  if (empty !== undefined) throw usage(`--${empty} is empty; leave it out, or give it a value`);
  const type = typeOf(argv[1] ?? '', positionals, text('type') ?? text('name'));
  for (const { name, choices } of FLAGS) {
    const said = text(name);
    if (choices && said !== undefined && !choices.includes(said)) throw usage(`--${name} ${said} is not known; there are ${choices.join(', ')}`);
  }
  const [inputs, files] = [given('input') as string[] | undefined ?? [], given('input-file') as string[] | undefined ?? []];
  if (inputs.length > 0 && files.length > 0) throw usage('give --input or --input-file, not both');
  if (inputs.length > 1 || files.length > 1) throw usage('a run takes one input: give --input or --input-file once');
  return {
    type, help: values['help'] === true, json: values['json'] === true || (text('output') ?? '').startsWith('json'), output: text('output'), color: text('color'),
    input: inputs[0], inputFile: files[0], workflowId: text('workflow-id'), taskQueue: text('task-queue'),
    config: text('config'), database: text('database'), reason: text('reason'),
    commandTimeoutMs: commandTimeoutOf(given), connection: connectionOf(given), workflow: workflowFlagsOf(given),
  };
}

const usage = (sentence: string, cause?: unknown) => new CommandError(EXIT.usage, sentence, { cause });

function parse(words: readonly string[]): { values: Record<string, string | boolean | (string | boolean)[] | undefined>; positionals: string[] } {
  try {
    return parseArgs({ args: spellFlags(words, FLAGS), options: OPTIONS, allowPositionals: true, allowNegative: true, strict: true });
  } catch (cause) {
    const sentence = ((cause as Error).message.split('. ')[0] ?? '').replace(/^Unknown option/, 'this command does not take');
    throw usage(`${sentence}; it takes the flags of \`temporal workflow start\`, and --database, --reason, --config and --json`, cause);
  }
}

/** The runbook that the program is called for. */
function typeOf(program: string, positionals: readonly string[], named: string | undefined): string {
  const own = typeOfProgram(program);
  const type = own ?? positionals[0];
  if (type === undefined) throw usage('this program is run by `temporal workflow start RUNBOOK`: it learns from its own name what to start');
  const extra = own === undefined ? positionals.slice(1) : positionals;
  if (extra.length > 0) throw usage(`"${extra[0]}" is not understood; input is given as in --input '{"database":"orders"}'`);
  if (named !== undefined && named !== type) throw usage(`--type ${named} contradicts "${type}"; leave it out`);
  return type;
}

/** What `--help` shows. */
export const EXTENSION_HELP = (type: string): string => `temporal workflow start ${type} [flags]

  -i, --input JSON        input, as in '{"database":"orders"}'; --input-file FILE reads it from a file
  -d, --database NAME     database of the configuration; may be left out when there is only one
      --reason TEXT       goes into the evidence
  -w, --workflow-id ID    default: ${type}/<database>/<time>
  -t, --task-queue NAME   default: runbooks
  -o, --output text|json|jsonl|none
  -c, --config FILE       configuration file (default: RUNBOOKS_CONFIG or ./runbooks.yaml)
      --address, --namespace, --profile, --api-key, --tls, --tls-…, --identity and other global flags,
      --memo, --search-attribute, --static-summary, --static-details, --execution-timeout, --run-timeout,
      --task-timeout, --id-reuse-policy, --priority-key, --fairness-…: as in Temporal's CLI

More: runbook start --help`;
