import { untilStopped } from '../../scripts/demo/until-stopped.ts';
import { parseOrEnd } from '../support/command-line.ts';
import type { CaseResult } from './run-case.ts';
import { runSuite } from './suite.ts';

/** Each is loaded by whoever runs it. */
const SUITES: Readonly<Record<string, (options: Parameters<typeof runSuite>[1]) => Promise<CaseResult[]>>> = {
  'dr-test': async (options) => runSuite((await import('./dr-test-suite.ts')).DR_TEST, options),
  'dr-test-rds': async (options) => runSuite((await import('./rds/rds-suite.ts')).DR_TEST_RDS, options),
};

const { values, positionals: [suite = ''] } = parseOrEnd('npm run faults -- dr-test | dr-test-rds [--json] [--only PATTERN] [--sample] [--lanes N]', {
  allowPositionals: true,
  options: { json: { type: 'boolean', default: false }, only: { type: 'string' }, sample: { type: 'boolean', default: false }, lanes: { type: 'string', default: '3' } },
}, ({ values: { lanes, only }, positionals }) => {
  if (positionals.length !== 1 || !Object.hasOwn(SUITES, positionals[0] ?? '')) return `say which suite: there is ${Object.keys(SUITES).join(', ')}`;
  // Throws its own words where it is none.
  new RegExp(only ?? '');
  return /^[1-9]\d*$/.test(lanes) ? null : `--lanes takes a whole number, 1 or more, not "${lanes}"`;
});

// What an interrupted case still waits for must not keep the process.
process.exit(await main().catch((error: Error) => {
  process.stderr.write(`${error.message}\n`);
  return 1;
}));

async function main(): Promise<number> {
  const run = SUITES[suite];
  if (!run) return 2;
  const started = performance.now();
  // With --json the last line of standard output is the result; what happens on the way goes to standard error.
  const log = (line: string): void => void (values.json ? process.stderr : process.stdout).write(`[${((performance.now() - started) / 1000).toFixed(0).padStart(4)} s] ${line}\n`);
  const { signal } = untilStopped(log);
  const results = await run({ only: values.only === undefined ? undefined : new RegExp(values.only), sample: values.sample, lanes: Number(values.lanes), signal, log });
  const failed = results.filter(({ outcome }) => outcome === 'failed').length;
  process.stdout.write(`\n${table(results)}\n\n${results.length - failed} passed, ${failed} failed, ${((performance.now() - started) / 60_000).toFixed(1)} min\n`);
  if (values.json) {
    const cases = results.map(({ name: caseName, outcome, detail }) => ({ name: caseName, outcome, detail }));
    process.stdout.write(`${JSON.stringify({ faults: suite, cases, passed: results.length - failed, failed })}\n`);
  }
  // A pattern that fits nothing has shown nothing.
  return failed > 0 || results.length === 0 ? 1 : 0;
}

function table(results: readonly CaseResult[]): string {
  const rows = [['case', 'result', 'run ended', 'leftovers', 'effects twice', 'seconds'], ...results.map((result) => [
    result.name, result.outcome, result.ended, result.leftovers.length === 0 ? 'none' : String(result.leftovers.length),
    result.twice.length === 0 ? 'none' : String(result.twice.length), result.seconds.toFixed(1),
  ])];
  const widths = rows[0]?.map((_, column) => Math.max(...rows.map((row) => row[column]?.length ?? 0))) ?? [];
  return rows.map((row) => row.map((cell, column) => cell.padEnd(widths[column] ?? 0)).join('  ').trimEnd()).join('\n');
}
