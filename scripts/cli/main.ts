#!/usr/bin/env node
import { Command, InvalidArgumentError, Option } from 'commander';
import { applyAppearance } from './appearance.ts';
import { limitCommand } from './command-limit.ts';
import { CommandError, EXIT, exitCodeOf, guardOutput, reportError, type ExitCode } from './exit.ts';
import { choosingFlag, commandTimeoutOf, connectionOf, spellFlags, TEMPORAL_FLAGS, wantsJson } from './temporal-flags.ts';

// Only commander and tiny files are imported here: `--help` must answer at once. A command loads what it needs.
type Run = (...args: never[]) => Promise<ExitCode>;

const program = new Command('runbook')
  .enablePositionalOptions()
  .description('Ops runbooks as durable Temporal workflows.')
  .showHelpAfterError('(add --help to see what it takes)')
  .exitOverride((error) => process.exit(error.exitCode === 0 ? EXIT.done : EXIT.usage));

// `temporal runbook …` puts those of Temporal's own flags that it knows in front of the command.
takeTemporalFlags(program);

/** Lets a command take Temporal's own flags; its help shows those that are `shown`. */
function takeTemporalFlags(command: Command, shown: Record<string, [value: string, description: string]> = {}): Command {
  for (const { name, short, kind, choices } of TEMPORAL_FLAGS) {
    const [value, description] = shown[name] ?? ['<value>'];
    const option = new Option(`${short === undefined ? '' : `-${short}, `}--${name}${kind === 'switch' ? '' : ` ${value}`}`, description).hideHelp(description === undefined);
    if (choices) option.choices(choices);
    if (kind === 'list') option.argParser((one: string, before: string[] | undefined) => [...(before ?? []), one]);
    command.addOption(option);
  }
  return command.addOption(new Option('--no-tls').hideHelp());
}

/** Gives a command the flags that stood before it; its own outrank them. */
function adoptLeadingFlags(command: Command): void {
  for (const [name, value] of Object.entries(program.opts<Record<string, unknown>>())) {
    const own: unknown = command.getOptionValue(name);
    if (own === undefined) command.setOptionValue(name, value);
    else if (Array.isArray(value) && Array.isArray(own)) command.setOptionValue(name, [...value as unknown[], ...own as unknown[]]);
  }
  if (String(command.getOptionValue('output')).startsWith('json')) command.setOptionValue('json', true);
}

const givenTo = (command: Command) => (name: string): unknown => command.getOptionValue(name.replaceAll(/-([a-z])/g, (_, letter: string) => letter.toUpperCase()));

/** Does what Temporal's own flags say: of the connection, of what is printed, and how long the command may take. */
function heedTemporalFlags(command: Command): void {
  const given = givenTo(command);
  for (const [name, value] of Object.entries(connectionOf(given))) command.setOptionValue(name, value);
  applyAppearance({ color: given('color'), output: given('output') });
  limitCommand(commandTimeoutOf(given), { asJson: given('json') === true });
}

/** Adds a command; its implementation is loaded when it is called. */
function add(usage: string, description: string, load: () => Promise<Run>): Command {
  return program
    .command(usage)
    .description(description)
    .option('--json', 'print one JSON object instead of text')
    .option('-c, --config <file>', 'configuration file (default: RUNBOOKS_CONFIG or ./runbooks.yaml)')
    .hook('preAction', (_, command) => {
      adoptLeadingFlags(command);
      refuseEmpty(command);
      heedTemporalFlags(command);
    })
    .action(async (...args: unknown[]) => {
      const run = (await load()) as (...given: unknown[]) => Promise<ExitCode>;
      // Last comes the command itself, which implementations have no use for.
      process.exitCode = await run(...args.slice(0, -1));
    });
}

function withTemporal(command: Command): Command {
  return takeTemporalFlags(command, {
    address: ['<host:port>', 'Temporal server (default: TEMPORAL_ADDRESS, profile, localhost:7233)'],
    namespace: ['<name>', 'Temporal namespace'],
    profile: ['<name>', "profile of Temporal's configuration file"],
    'api-key': ['<key>', 'better kept in a profile or TEMPORAL_API_KEY: arguments are visible to other users'],
    tls: ['', "connect with TLS; --tls-…, --identity and the other global flags of Temporal's CLI are taken, too"],
  });
}

/** These commands talk to no server; they are called with the flags all the same. */
const withoutServer = (command: Command): Command => takeTemporalFlags(command);

/** This one starts a server: there is none to be chosen. */
function withOwnServer(command: Command): Command {
  return takeTemporalFlags(command).hook('preAction', () => {
    const name = choosingFlag(givenTo(command));
    if (name !== undefined) throw new CommandError(EXIT.usage, `\`runbook ${command.name()}\` starts a server of its own, so --${name} cannot be for it; \`runbook worker\` works for a server that is there`);
  });
}

function count(text: string): number {
  const value = Number(text);
  if (!Number.isInteger(value) || value < 1) throw new InvalidArgumentError('write a whole number, 1 or more.');
  return value;
}

function port(text: string): number {
  if (!(Number(text) <= 65_535)) throw new InvalidArgumentError('write a port, 1 to 65535.');
  return count(text);
}

/** Where an empty text says no more than none does. */
const MAY_BE_EMPTY = ['input', 'comment', 'reason'];

/** `--id "$ID"` with a variable that is not set must not mean something else. */
function refuseEmpty(command: Command): void {
  if (command.args.includes('')) command.error('error: an argument is empty');
  const empty = Object.entries(command.opts<Record<string, unknown>>()).find(([name, value]) => value === '' && !MAY_BE_EMPTY.includes(name));
  if (empty) command.error(`error: --${empty[0].replaceAll(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)} is empty; leave it out, or give it a value`);
}

withoutServer(add('init <connection-string>', 'write a first runbooks.yaml from postgresql://user@host:port/database', async () => (await import('./init.ts')).init))
  .option('--name <name>', 'what to call the database (default: its name)');
withoutServer(add('list', 'list the runbooks there are', async () => (await import('./list.ts')).list));
withTemporal(add('runs', 'list past runs with verdict, RTA and RPA', async () => (await import('./runs.ts')).runs))
  .option('--limit <n>', 'how many', count, 20);
withTemporal(add('start <type>', 'start a run', async () => (await import('./start.ts')).start))
  .option('-i, --input <json>', 'input as JSON')
  .option('-d, --database <name>', 'database of the configuration')
  .option('--recovery-point <which>', 'latest, random, an id, or an instant such as 2026-11-21T03:00:00Z')
  .option('--depth <depth>', 'quick or standard')
  .option('--allow-not-proven', 'let it succeed although something could not be compared')
  .option('--declared-at <instant>', 'when the disaster was declared (default: start of the run)')
  .option('--reason <text>', 'why; goes into the evidence')
  .option('--requester <name>', 'who asks for it (default: the user of this system)')
  .option('--id <id>', 'workflow id (default: <type>/<target>/<time>)')
  .option('-w, --wait', 'watch it and end with its outcome');
withTemporal(add('status <id>', 'show a run once', async () => (await import('./watch.ts')).status));
withTemporal(add('watch <id>', 'show a run live; Ctrl-C leaves it alive', async () => (await import('./watch.ts')).watch));
withTemporal(add('compensations <id>', 'say what an abort of a run would undo', async () => (await import('./compensations.ts')).compensations));
for (const decision of ['approve', 'reject'] as const) {
  withTemporal(add(`${decision} <id>`, `${decision} at the open gate of a run`, async () => (await import('./decide.ts'))[decision]))
    .option('-g, --gate <name>', 'gate (default: the open one)')
    .option('--by <name>', 'who decides (default: the user of this system, or with --sign whose key it is)')
    .option('--comment <text>', 'goes into the evidence')
    .option('--plan-hash <hash>', 'the plan that was looked at (default: the present one)')
    .option('--sign <key>', 'sign the decision with this SSH key');
}
withTemporal(add('extend <id>', 'move the expiry of the open gate of a run', async () => (await import('./steer.ts')).extend))
  .option('-g, --gate <name>', 'gate (default: the open one)')
  .option('--until <instant>', 'to when, as in 2026-12-31T18:00:00Z')
  .option('--for <duration>', 'by how much, as in 4h')
  .option('--by <name>', 'who extends it (default: the user of this system)')
  .option('--reason <text>', 'why');
const operations = { pause: 'pause a run before its next step', resume: 'go on after a pause', abort: 'undo what a run did, and end it' } as const;
for (const operation of ['pause', 'resume', 'abort'] as const) {
  withTemporal(add(`${operation} <id>`, operations[operation], async () => (await import('./operate.ts'))[operation]))
    .option('--by <name>', 'who asks (default: the user of this system)')
    .option('--reason <text>', 'why');
}
const stepOptions = (command: Command) => command
  .option('--step <name>', 'step (default: the one that waits)')
  .option('--by <name>', 'who asks (default: the user of this system)')
  .option('--reason <text>', 'why; goes into the evidence');
stepOptions(withTemporal(add('retry <id>', 'try the failed step of a run again that waits for an operator', async () => (await import('./steer.ts')).retry)))
  .option('--input <json>', 'another input, where the step takes one')
  .option('--input-file <file>', 'the same, from a file');
stepOptions(withTemporal(add('skip <id>', 'go on without the step that waits, where the runbook allows that', async () => (await import('./steer.ts')).skip)));
withoutServer(add('report <file-or-id>', 'print the evidence of a run', async () => (await import('./report.ts')).report))
  .addOption(new Option('--format <format>', 'json, markdown or html (default: text)').choices(['json', 'markdown', 'html']))
  .option('--redact <pointer...>', 'print the file without these values, such as /reason or /gates/0/decisions/0/comment; its chain still verifies');
withoutServer(add('verify <file>', 'recompute the chain of a file of evidence; needs no server', async () => (await import('./verify.ts')).verify))
  .option('--head <hash>', 'head that it must have, from the result of the workflow')
  .option('--key <file>', 'public Ed25519 key in PEM that must have signed it');
withTemporal(add('doctor', 'check configuration, server, databases and this host', async () => (await import('./doctor.ts')).doctor));
withTemporal(add('worker', 'run a worker', async () => (await import('./worker.ts')).worker));
withOwnServer(add('dev', 'run an embedded Temporal server with web UI, and a worker', async () => (await import('./dev.ts')).dev))
  .option('--port <port>', 'of the server', port, 7233)
  .option('--ui-port <port>', 'of the web UI', port, 8233);

guardOutput();
try {
  await program.parseAsync(spellFlags(process.argv.slice(2)), { from: 'user' });
} catch (error) {
  reportError(error, wantsJson(process.argv));
  // At once: the native core of a worker that was refused would keep the process.
  process.exit(exitCodeOf(error));
}
