import { parseArgs, type ParseArgsConfig } from 'node:util';

/**
 * The words that a set of tests was started with. `--help` prints the usage and ends the process with 0; what is not
 * understood, or has a problem, ends it with 2.
 */
export function parseOrEnd<const T extends ParseArgsConfig>(usage: string, config: T, problemOf: (parsed: ReturnType<typeof parseArgs<T>>) => string | null): ReturnType<typeof parseArgs<T>> {
  if (process.argv.slice(2).some((word) => word === '--help' || word === '-h')) {
    process.stdout.write(`${usage}\n`);
    process.exit(0);
  }
  try {
    const parsed = parseArgs(config);
    const problem = problemOf(parsed);
    if (problem === null) return parsed;
    process.stderr.write(`${problem}\n${usage}\n`);
  } catch (error) {
    process.stderr.write(`${(error as Error).message}\n${usage}\n`);
  }
  return process.exit(2);
}
