/** `npm run soak -- dr-test [--drills 50] [--seed N] [--json]`: healthy drills under write load; one that is red, or a race that never struck, fails it. */
import { parseArgs } from 'node:util';
import { raceKinds } from './racers.ts';
import { soak } from './soak.ts';

/** A kind of race that was met less often than this proves nothing. */
const LEAST_RACES = 5;

const { values: options, positionals } = parseArgs({
  allowPositionals: true,
  options: { drills: { type: 'string', default: '50' }, seed: { type: 'string', default: '1' }, json: { type: 'boolean', default: false } },
});
const drills = Number(options.drills);
if (positionals.join() !== 'dr-test' || !Number.isInteger(drills) || drills < 1 || !Number.isInteger(Number(options.seed))) {
  process.stderr.write('say what to soak: npm run soak -- dr-test [--drills 50] [--seed 1] [--json]\n');
  process.exit(2);
}
process.exitCode = await main();

async function main(): Promise<number> {
  const began = performance.now();
  const log = (line: string): void => void process.stderr.write(`[${((performance.now() - began) / 1000).toFixed(1).padStart(6)} s] ${line}\n`);
  const results = await soak({
    drills, seed: Number(options.seed), log,
    onStarted: (stop) => {
      for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => void stop().finally(() => process.exit(130)));
    },
  });
  const races = Object.fromEntries(raceKinds.map((kind) => [kind, results.reduce((sum, drill) => sum + drill.races[kind], 0)]));
  const red = results.filter((drill) => drill.problems.length > 0);
  const rare = raceKinds.filter((kind) => (races[kind] ?? 0) < LEAST_RACES);
  const summary = {
    soak: 'dr-test', drills: results.length, passed: results.length - red.length, failed: red.length, races, racesTooRare: rare,
    tablesAtSource: results.reduce((sum, drill) => sum + drill.tablesAtSource, 0), tablesCompared: results.reduce((sum, drill) => sum + drill.tablesCompared, 0),
    positions: new Set(results.map((drill) => drill.lsn)).size, seconds: Math.round((performance.now() - began) / 1000), problems: red.flatMap((drill) => drill.problems),
  };
  if (options.json) process.stdout.write(`${JSON.stringify(summary)}\n`);
  else for (const [name, value] of Object.entries(summary)) process.stdout.write(`${name.padEnd(15)} ${typeof value === 'object' ? JSON.stringify(value) : value}\n`);
  return red.length === 0 && rare.length === 0 ? 0 : 1;
}
