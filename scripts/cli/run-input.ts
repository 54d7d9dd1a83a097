import type { Configuration } from '../../contracts/configuration.ts';
import type { RunbookContract } from '../../contracts/runbook.ts';
import { RUNBOOKS } from '../../contracts/runbooks.ts';
import { CommandError, EXIT } from './exit.ts';

/** What flags say about a run; whatever they leave out comes from `--input` or from the runbook's defaults. */
export interface InputFlags {
  input?: string;
  database?: string;
  recoveryPoint?: string;
  depth?: string;
  declaredAt?: string;
  reason?: string;
  requester?: string;
}

/** The contract of a runbook. @throws CommandError that names those there are */
export function contractOf(type: string): RunbookContract {
  const contract = Object.hasOwn(RUNBOOKS, type) ? RUNBOOKS[type] : undefined;
  if (!contract) throw new CommandError(EXIT.usage, `there is no runbook "${type}"; there are ${Object.keys(RUNBOOKS).join(', ')}`);
  return contract;
}

/**
 * The input of a run from JSON and flags, checked with the runbook's own schema before anything is started. Defaults
 * are left to the run, so that what is recorded is what was asked.
 */
export function buildInput(contract: RunbookContract, flags: InputFlags, systemUser: string): Record<string, unknown> {
  const input: Record<string, unknown> = { ...parseInput(flags.input) };
  if (flags.database !== undefined) input[contract.targetField] = flags.database;
  if (flags.recoveryPoint !== undefined) input['recoveryPoint'] = recoveryPointOf(flags.recoveryPoint);
  for (const field of ['depth', 'declaredAt', 'reason', 'requester'] as const) if (flags[field] !== undefined) input[field] = flags[field];
  // Without a requester, nobody could tell who must not approve.
  input['requester'] ??= systemUser;
  const parsed = contract.input.safeParse(input);
  if (parsed.success) return input;
  const problems = parsed.error.issues.map((issue) => `${issue.path.join('.') || 'input'}: ${issue.message}`);
  throw new CommandError(EXIT.usage, `the input of ${contract.type} is not valid: ${problems.join('; ')}`);
}

function parseInput(text: string | undefined): Record<string, unknown> {
  if (text === undefined || text.trim() === '') return {};
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (cause) {
    throw new CommandError(EXIT.usage, `--input is not JSON (${(cause as Error).message}); write it as in --input '{"database":"orders"}'`, { cause });
  }
  if (value === null) return {};
  if (typeof value !== 'object' || Array.isArray(value)) throw new CommandError(EXIT.usage, `--input must be a JSON object, as in '{"database":"orders"}'`);
  return value as Record<string, unknown>;
}

function recoveryPointOf(text: string): unknown {
  if (text === 'latest' || text === 'random') return text;
  return /^\d{4}-\d{2}-\d{2}T/.test(text) ? { time: text } : { id: text };
}

/** The target of a run, where it can be known here; an unknown one is refused before the server hears of it. */
export function targetOf(contract: RunbookContract, input: Record<string, unknown>, configuration: Configuration | undefined): string | undefined {
  const named = input[contract.targetField];
  const target = typeof named === 'string' ? named : undefined;
  if (!configuration) return target;
  const names = Object.keys(configuration.databases);
  if (target !== undefined) {
    if (!names.includes(target)) throw new CommandError(EXIT.usage, `there is no database "${target}" in the configuration; it has ${names.join(', ')}`);
    return target;
  }
  if (names.length > 1) throw new CommandError(EXIT.usage, `the configuration has several databases; say which one with --database: ${names.join(', ')}`);
  return names[0];
}

/** `<type>/<target>/<UTC stamp>`: says what it is, and sorts by time. */
export function workflowIdFor(type: string, target: string | undefined, now: Date): string {
  const stamp = now.toISOString().replaceAll('-', '').replaceAll(':', '');
  return [type, ...(target === undefined ? [] : [target]), stamp].join('/');
}
