#!/usr/bin/env node
/** `npm run bench -- NAME`: measures a bench's table and ends with 1 when a limit is missed, or could not be judged. */
import { untilStopped } from '../../scripts/demo/until-stopped.ts';
import { parseBenchArguments, USAGE, UsageError, type BenchArguments } from './arguments.ts';
import { openDrTestBench } from './dr-test-bench.ts';
import { openDetectionBench } from './detection-bench.ts';
import { openKernelBench } from './kernel-bench.ts';
import { BENCH_ROWS, type RowName } from './limits.ts';
import type { OpenBench } from './open-bench.ts';
import type { RowOutcome } from './outcome.ts';
import { jsonLine, machineLine, noiseWarning, rowLines, verdictLine } from './report.ts';

const began = performance.now();
// Progress goes to standard error: with --json the last line of standard output is the result.
const log = (line: string): void => void process.stderr.write(`[${((performance.now() - began) / 1000).toFixed(0).padStart(4)} s] ${line}\n`);
const print = (line: string): void => void process.stdout.write(`${line}\n`);

if (process.argv.includes('--help')) {
  print(USAGE);
  process.exit();
}
try {
  process.exitCode = await bench(parseBenchArguments(process.argv.slice(2)));
} catch (error) {
  const isUsage = error instanceof UsageError;
  process.stderr.write(`bench: ${isUsage ? `${error.message}\n${USAGE}` : error instanceof Error ? `${error.stack ?? error.message}${error.cause instanceof Error ? `\nbecause: ${error.cause.message}` : ''}` : String(error)}\n`);
  process.exitCode = isUsage ? 2 : 1;
}

async function bench(settings: BenchArguments): Promise<number> {
  const warning = noiseWarning();
  const before = machineLine('before');
  if (warning) log(warning);
  const { signal, exitCode } = untilStopped(log);
  const opened = await open(settings);
  // Whatever is under way fails when its server goes, some of it where nobody can catch it.
  const end = (): void => void opened.stop().finally(() => process.exit(exitCode()));
  signal.addEventListener('abort', end, { once: true });
  if (signal.aborted) end();
  const outcomes: RowOutcome[] = [];
  try {
    const wanted = new Set<RowName>(settings.rows);
    for (const group of opened.groups) {
      if (!group.names.some((name) => wanted.has(name))) continue;
      log(`measuring ${group.names.filter((name) => wanted.has(name)).join(', ')}`);
      const measured = await group.measure();
      for (const outcome of measured) for (const line of rowLines(outcome)) log(line);
      outcomes.push(...measured);
    }
  } finally {
    await opened.stop();
    // An early end is over when all is cleaned up, and has its own exit code.
    if (signal.aborted) await new Promise<never>(() => undefined);
  }
  const order: readonly RowName[] = BENCH_ROWS[settings.bench];
  outcomes.sort((a, b) => order.indexOf(a.name) - order.indexOf(b.name));
  print(opened.title);
  for (const outcome of outcomes) for (const line of rowLines(outcome)) print(line);
  print(before);
  print(machineLine('after'));
  if (warning) print(warning);
  print(verdictLine(outcomes));
  if (settings.json) print(jsonLine(settings.bench, outcomes));
  return outcomes.every(({ met }) => met) ? 0 : 1;
}

function open(settings: BenchArguments): Promise<OpenBench> {
  switch (settings.bench) {
    case 'dr-test': return openDrTestBench(settings, log);
    case 'kernel': return openKernelBench(settings, log);
    case 'detection': return Promise.resolve(openDetectionBench(settings));
  }
}
