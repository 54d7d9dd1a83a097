/** `npm run soak -- dr-test [--drills 50] [--seed N] [--json]`: healthy drills under write load; one that is red, one that shares its position with another, or a race that was rare, fails it. */
import { untilStopped } from '../../scripts/demo/until-stopped.ts';
import { parseOrEnd } from '../support/command-line.ts';
import { soak } from './soak.ts';
import { hasPassed, summaryOf } from './summary.ts';

const { values: options } = parseOrEnd('npm run soak -- dr-test [--drills 50] [--seed 1] [--json]', {
  allowPositionals: true,
  options: { drills: { type: 'string', default: '50' }, seed: { type: 'string', default: '1' }, json: { type: 'boolean', default: false } },
}, ({ values: { drills, seed }, positionals }) => {
  if (positionals.join() !== 'dr-test') return 'say what to soak: there is dr-test';
  if (!/^[1-9]\d*$/.test(drills)) return `--drills takes a whole number, 1 or more, not "${drills}"`;
  return /^\d+$/.test(seed) ? null : `--seed takes a whole number, not "${seed}"`;
});
process.exitCode = await main();

async function main(): Promise<number> {
  const began = performance.now();
  const log = (line: string): void => void process.stderr.write(`[${((performance.now() - began) / 1000).toFixed(1).padStart(6)} s] ${line}\n`);
  const stopped = untilStopped(log);
  const results = await soak({
    drills: Number(options.drills), seed: Number(options.seed), log, signal: stopped.signal,
  }).catch((error: unknown) => {
    if (!stopped.signal.aborted) throw error;
    return [];
  });
  // What it has not waited for must not keep the process.
  if (stopped.signal.aborted) process.exit(stopped.exitCode());
  const summary = { ...summaryOf(results), seconds: Math.round((performance.now() - began) / 1000) };
  if (options.json) process.stdout.write(`${JSON.stringify(summary)}\n`);
  else for (const [name, value] of Object.entries(summary)) process.stdout.write(`${name.padEnd(15)} ${typeof value === 'object' ? JSON.stringify(value) : value}\n`);
  return hasPassed(summary) ? 0 : 1;
}
