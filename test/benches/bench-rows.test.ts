import { spawn } from 'node:child_process';
import { chmod, mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, it } from 'vitest';
import { BENCH_ROWS, LIMITS, type BenchName, type RowName } from '../bench/limits.ts';

const program = fileURLToPath(new URL('../../dist/test/bench/main.js', import.meta.url));

it.concurrent.each<[BenchName, string, string[]]>([
  ['dr-test', 'on a tiny database', ['--size', '1MB', '--window', '1']],
  ['kernel', 'with a few runs', ['--runs', '20']],
  ['detection', 'of a few restores', ['--restores', '30']],
])('the bench %s produces every row %s, and leaves no file behind; whether limits are met is not for a busy machine to say', async (bench, _, options) => {
  const rows: readonly RowName[] = BENCH_ROWS[bench];
  const scratch = await mkdtemp(join(tmpdir(), 'b-'));
  // The database server's user must be able to walk through.
  await chmod(scratch, 0o711);
  try {
    const child = spawn(process.execPath, [program, bench, '--json', '--repetitions', '1', ...options], { env: { ...process.env, TMPDIR: scratch }, stdio: ['ignore', 'pipe', 'pipe'] });
    let [stdout, stderr] = ['', ''];
    child.stdout.on('data', (chunk: Buffer) => { stdout += chunk.toString(); });
    child.stderr.on('data', (chunk: Buffer) => { stderr += chunk.toString(); });
    const code = await new Promise((resolve) => child.once('close', resolve));
    const last = stdout.trim().split('\n').at(-1) ?? '';
    expect(last, stderr).toMatch(new RegExp(`^\\{"bench":"${bench}"`));
    const { ratios, seconds } = JSON.parse(last) as { ratios: Record<string, number>; seconds: Record<string, number> };
    const values = { ...ratios, ...seconds };
    expect(Object.keys(values).toSorted()).toEqual(rows.toSorted());
    expect(Object.values(values).filter((value) => !(value > 0 && value < 1000))).toEqual([]);
    expect(Object.keys(seconds).toSorted()).toEqual(rows.filter((name) => LIMITS[name].kind === 'seconds').toSorted());
    // The exit code says what the table says, whichever it is.
    const missed = rows.filter((name) => (values[name] as number) > LIMITS[name].atMost);
    expect(code, stdout).toBe(missed.length > 0 ? 1 : 0);
    for (const name of missed) expect(stdout).toMatch(new RegExp(`^${name} .*MISSED`, 'm'));
    expect(stdout).toContain('load average');
    expect((await readdir(scratch)).filter((name) => name.startsWith('runbooks-bench'))).toEqual([]);
  } finally {
    await rm(scratch, { recursive: true, force: true });
  }
}, 300_000);
