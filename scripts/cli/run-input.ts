import type { Configuration } from '../../contracts/configuration.ts';
import { gatePolicySchema, type GatePolicy } from '../../contracts/gate.ts';
import type { RunbookContract } from '../../contracts/runbook.ts';
import { RUNBOOKS } from '../../contracts/runbooks.ts';
import { inputProblems } from '../../contracts/input-problems.ts';
import { CommandError, EXIT } from './exit.ts';

/** What flags say about a run; whatever they leave out comes from `--input` or from the runbook's defaults. */
export interface InputFlags {
  input?: string;
  database?: string;
  recoveryPoint?: string;
  depth?: string;
  allowNotProven?: boolean;
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
  for (const field of ['depth', 'allowNotProven', 'declaredAt', 'reason', 'requester'] as const) if (flags[field] !== undefined) input[field] = flags[field];
  // Without a requester, nobody could tell who must not approve.
  input['requester'] ??= systemUser;
  const parsed = contract.input.safeParse(input);
  if (parsed.success) return input;
  throw new CommandError(EXIT.usage, inputProblems(contract, parsed.error.issues));
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
  if (!/^\d{4}-\d{2}-\d{2}/.test(text)) return { id: text };
  if (/^\d{4}-\d{2}-\d{2}T/.test(text)) return { time: text };
  throw new CommandError(EXIT.usage, `--recovery-point ${text} is neither an id nor an instant: write an instant as in 2026-11-21T03:00:00Z`);
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

/** The first gate at which the run will stop; null without one. Only one that the configuration names is there; without a configuration nobody knows. */
export function gateAhead({ gates }: RunbookContract, target: string | undefined, configuration: Configuration | undefined): Pick<GatePolicy, 'assurance'> | null {
  const settings = target === undefined ? undefined : configuration?.databases[target];
  if (!settings) return gates.length > 0 ? gatePolicySchema.parse({}) : null;
  const first = gates.find((gate) => Object.hasOwn(settings.gates, gate));
  return first === undefined ? null : settings.gates[first] ?? null;
}

/** `<type>/<target>/<UTC stamp>`: says what it is, and sorts by time. */
export function workflowIdFor(type: string, target: string | undefined, now: Date): string {
  const stamp = now.toISOString().replaceAll('-', '').replaceAll(':', '');
  return [type, ...(target === undefined ? [] : [target]), stamp].join('/');
}
