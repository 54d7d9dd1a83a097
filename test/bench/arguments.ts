import { parseArgs } from 'node:util';
import { BENCH_NAMES, BENCH_ROWS, type BenchName, type RowName } from './limits.ts';

interface CommonArguments<Bench extends BenchName> { bench: Bench; json: boolean; rows: readonly RowName<Bench>[]; repetitions: number }

/** Of `npm run bench -- dr-test`, with defaults where nothing was given. */
export interface DrTestArguments extends CommonArguments<'dr-test'> {
  /** Size of the database that is drilled, in bytes. */
  bytes: number;
  /** How long the write load is measured at a time, at least. */
  windowSeconds: number;
}

/** Of `npm run bench -- kernel`, with defaults where nothing was given. */
export interface KernelArguments extends CommonArguments<'kernel'> {
  /** How many runs wait at once. */
  runs: number;
}

/** Of `npm run bench -- detection`; the same seed draws the same restores. */
export interface DetectionArguments extends CommonArguments<'detection'> {
  /** How many restores are waited for. */
  restores: number;
  seed: number;
}

/** Told apart by `bench`. */
export type BenchArguments = DrTestArguments | KernelArguments | DetectionArguments;

/** Wrong use: the message says what to write instead. */
export class UsageError extends Error {
  override readonly name = 'UsageError';
}

const COMMON = '[--json] [--only NAME[,NAME]] [--repetitions N]';
/** What people are shown who write it otherwise: one line for each bench. */
export const USAGE = `npm run bench -- dr-test ${COMMON} [--size BYTES] [--window SECONDS]\nnpm run bench -- kernel ${COMMON} [--runs N]\nnpm run bench -- detection ${COMMON} [--restores N] [--seed N]`;

/** Large enough that the shell script takes 30 s also on a quick machine: 23.7 s were measured with 7 GB, 33.6 s with this much. */
const DEFAULT_BYTES = 10 * 2 ** 30;
const UNITS: Readonly<Record<string, number>> = { '': 1, B: 1, KB: 2 ** 10, MB: 2 ** 20, GB: 2 ** 30, TB: 2 ** 40 };

/** Options that only one bench has. */
const OWN_OPTIONS: Readonly<Record<'size' | 'window' | 'runs' | 'restores' | 'seed', BenchName>> = { size: 'dr-test', window: 'dr-test', runs: 'kernel', restores: 'detection', seed: 'detection' };

/** @throws UsageError */
export function parseBenchArguments(words: readonly string[]): BenchArguments {
  let parsed;
  try {
    parsed = parseArgs({
      args: [...words], allowPositionals: true,
      options: { json: { type: 'boolean', default: false }, only: { type: 'string', multiple: true }, repetitions: { type: 'string' }, size: { type: 'string' }, window: { type: 'string' }, runs: { type: 'string' }, restores: { type: 'string' }, seed: { type: 'string' } },
    });
  } catch (cause) {
    throw new UsageError((cause as Error).message, { cause });
  }
  const { values, positionals } = parsed;
  const bench = BENCH_NAMES.find((name) => name === positionals[0]);
  if (bench === undefined || positionals.length !== 1) throw new UsageError(`there are the benches ${BENCH_NAMES.join(', ')}, and ${positionals.length === 0 ? 'none was named' : `"${positionals.join(' ')}" was asked for`}`);
  for (const [option, owner] of Object.entries(OWN_OPTIONS) as [keyof typeof OWN_OPTIONS, BenchName][]) {
    if (values[option] !== undefined && owner !== bench) throw new UsageError(`--${option} is for ${owner}; ${bench} has none`);
  }
  const common = <Bench extends BenchName>(name: Bench, repetitions: string) => ({
    bench: name, json: values.json, rows: rowsOf(name, values.only), repetitions: wholeNumber('--repetitions', values.repetitions ?? repetitions, 1),
  });
  switch (bench) {
    case 'dr-test': return { ...common(bench, '5'), bytes: values.size === undefined ? DEFAULT_BYTES : sizeOf(values.size), windowSeconds: wholeNumber('--window', values.window ?? '12', 1) };
    // Histories are the same each time, and ten thousand runs even out by themselves.
    case 'kernel': return { ...common(bench, '1'), runs: wholeNumber('--runs', values.runs ?? '10000', 1) };
    case 'detection': return { ...common(bench, '1'), restores: wholeNumber('--restores', values.restores ?? '3000', 1), seed: wholeNumber('--seed', values.seed ?? '20261130', 0) };
  }
}

/** In the order of the table, each once. */
function rowsOf<Bench extends BenchName>(bench: Bench, only: readonly string[] | undefined): readonly RowName<Bench>[] {
  const rows: readonly RowName<Bench>[] = BENCH_ROWS[bench];
  if (only === undefined) return rows;
  const wanted = only.flatMap((list) => list.split(',')).map((name) => name.trim());
  const unknown = wanted.filter((name) => !(rows as readonly string[]).includes(name));
  if (unknown.length > 0) throw new UsageError(`--only does not know ${unknown.map((name) => `"${name}"`).join(', ')}; it knows ${rows.join(', ')}`);
  return rows.filter((name) => wanted.includes(name));
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
