import { parseArgs } from 'node:util';
import { ROW_NAMES, type RowName } from './limits.ts';

export interface BenchArguments {
  json: boolean;
  rows: readonly RowName[];
  repetitions: number;
  /** Size of the database that is drilled, in bytes. */
  bytes: number;
  /** How long the write load is measured at a time, at least. */
  windowSeconds: number;
}

/** Wrong use: the message says what to write instead. */
export class UsageError extends Error {
  override readonly name = 'UsageError';
}

export const USAGE = 'npm run bench -- dr-test [--json] [--only NAME[,NAME]] [--repetitions N] [--size BYTES] [--window SECONDS]';

/** Large enough that the shell script takes 30 s on a plain machine. */
const DEFAULT_BYTES = 3 * 2 ** 30;
const UNITS: Readonly<Record<string, number>> = { '': 1, B: 1, KB: 2 ** 10, MB: 2 ** 20, GB: 2 ** 30, TB: 2 ** 40 };

/** @throws UsageError */
export function parseBenchArguments(words: readonly string[]): BenchArguments {
  let parsed;
  try {
    parsed = parseArgs({
      args: [...words], allowPositionals: true,
      options: { json: { type: 'boolean', default: false }, only: { type: 'string', multiple: true }, repetitions: { type: 'string' }, size: { type: 'string' }, window: { type: 'string' } },
    });
  } catch (cause) {
    throw new UsageError((cause as Error).message, { cause });
  }
  const { values, positionals } = parsed;
  if (positionals.length !== 1 || positionals[0] !== 'dr-test') throw new UsageError(`there is one bench, dr-test, and ${positionals.length === 0 ? 'none was named' : `"${positionals.join(' ')}" was asked for`}`);
  return {
    json: values.json,
    rows: rowsOf(values.only),
    repetitions: wholeNumber('--repetitions', values.repetitions ?? '5', 1),
    bytes: values.size === undefined ? DEFAULT_BYTES : sizeOf(values.size),
    windowSeconds: wholeNumber('--window', values.window ?? '12', 1),
  };
}

/** In the order of the table, each once. */
function rowsOf(only: readonly string[] | undefined): readonly RowName[] {
  if (only === undefined) return ROW_NAMES;
  const wanted = only.flatMap((list) => list.split(',')).map((name) => name.trim());
  const unknown = wanted.filter((name) => !(ROW_NAMES as readonly string[]).includes(name));
  if (unknown.length > 0) throw new UsageError(`--only does not know ${unknown.map((name) => `"${name}"`).join(', ')}; it knows ${ROW_NAMES.join(', ')}`);
  return ROW_NAMES.filter((name) => wanted.includes(name));
}

function wholeNumber(option: string, text: string, least: number): number {
  const value = Number(text);
  if (text.trim() === '' || !Number.isSafeInteger(value) || value < least) throw new UsageError(`${option} takes a whole number, ${least} or more, not "${text}"`);
  return value;
}

function sizeOf(text: string): number {
  const match = /^(\d+(?:\.\d+)?)\s*([KMGT]?B?)$/i.exec(text.trim());
  const unit = (match?.[2] ?? '').toUpperCase().replace(/^([KMGT])$/, '$1B');
  const bytes = Math.round(Number(match?.[1]) * (UNITS[unit] ?? Number.NaN));
  if (!match || !Number.isSafeInteger(bytes) || bytes < 2 ** 20) throw new UsageError(`--size takes a number of bytes such as 3GB or 1073741824, at least 1MB, not "${text}"`);
  return bytes;
}
