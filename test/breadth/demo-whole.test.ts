import { execFileSync, spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { endProcessesOf } from '../../activities/drill/processes.ts';
import { DRILL_VARIABLE } from '../../activities/drill/drill.ts';
import { evidenceSchema } from '../../contracts/evidence.ts';
import { resolveTemporalCli } from '../../scripts/embedded/temporal-cli.ts';

const program = fileURLToPath(new URL('../../dist/scripts/demo/main.js', import.meta.url));
/** Of a user who has a server, and a namespace and a key there: nothing of it is for the demo's. */
const THEIRS = { TEMPORAL_ADDRESS: 'temporal.example.com:7233', TEMPORAL_NAMESPACE: 'ops', TEMPORAL_API_KEY: 'theirs' };

let place: string;
let demo: { child: ChildProcess; said: () => string; ended: Promise<unknown[]> } | undefined;
beforeEach(() => {
  // Short: paths of sockets below it may have 107 bytes.
  place = mkdtempSync(join(tmpdir(), 'd'));
  // The database server's user must be able to walk through.
  chmodSync(place, 0o711);
});
afterEach(async () => {
  demo?.child.kill('SIGKILL');
  await demo?.ended;
  demo = undefined;
  await endProcessesOf({ marker: { name: DRILL_VARIABLE, value: 'by directory' }, directory: place });
  rmSync(place, { recursive: true, force: true });
});

function start(...args: string[]): NonNullable<typeof demo> {
  const child = spawn(process.execPath, [program, '--scale', '0.02', '--seed', '7', ...args], { cwd: place, stdio: ['ignore', 'pipe', 'pipe'], env: { ...process.env, ...THEIRS, TMPDIR: place } });
  let output = '';
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (chunk: Buffer) => { output += chunk.toString(); });
  demo = { child, said: () => output, ended: once(child, 'exit') };
  return demo;
}

/** What the demo printed after a word, on the same line. */
function printed(said: string, word: RegExp): string {
  const [, found] = word.exec(said) ?? [];
  if (found === undefined) throw new Error(`nothing after ${word} in:\n${said}`);
  return found;
}

const leftBehind = () => readdirSync(place).filter((name) => name !== '.demo' && !name.startsWith('durable-runbooks-bin-'));

it('damages a backup, and ends well because the drill, which was not told, named it; evidence and report stay', async () => {
  const { said, ended } = start('--broken');
  expect(await ended, said()).toEqual([0, null]);
  expect(said()).toMatch(/approving as anna: temporal workflow signal .+ --address 127\.0\.0\.1:\d+\n/);
  expect(said()).toMatch(/dr-test was not told, and named the damage: /);
  expect(said()).toContain('verdict: restore unsound');
  const file = printed(said(), /\nevidence +(\S+)\n/);
  const evidence = evidenceSchema.parse(JSON.parse(readFileSync(file, 'utf8')));
  expect(evidence).toMatchObject({ outcome: 'failed', verdict: { restore: 'unsound' } });
  expect(readFileSync(printed(said(), /\nreport +(\S+)\n/), 'utf8')).toContain('<html');
  expect(leftBehind()).toEqual([]);
});

it('waits for a person where it is told to, stays up for what it says to try, and goes when it is stopped', async () => {
  const { child, said, ended } = start('--interactive', '--keep');
  const cli = await resolveTemporalCli({ log: () => undefined });
  const theirTerminal = { ...process.env, ...THEIRS, NO_COLOR: '1', PATH: `${dirname(cli.path)}${delimiter}${process.env['PATH']}` };
  await vi.waitUntil(() => said().includes('waiting for you: ') || child.exitCode !== null, { timeout: 800_000, interval: 100 });
  // As it stands there, for another terminal: with the address, and with TLS off, as no key of theirs is sent.
  const command = printed(said(), /waiting for you: .* or (temporal workflow signal .+)\n/);
  execFileSync('env', ['-u', 'TEMPORAL_API_KEY', '-u', 'TEMPORAL_NAMESPACE', 'sh', '-c', command], { env: theirTerminal });
  await vi.waitUntil(() => said().includes('stop everything') && said().includes('export RUNBOOKS_CONFIG') || child.exitCode !== null, { timeout: 800_000, interval: 100 });
  expect(child.exitCode, said()).toBeNull();
  expect(said()).toContain('verdict: restore sound');
  const pasted = said().split('\n').filter((line) => /^(unset|export) /.test(line)).join('\n');
  const listed = execFileSync('sh', ['-c', `${pasted}\nrunbook runs`], { env: theirTerminal, encoding: 'utf8' });
  expect(listed).toMatch(/dr-test\/shop\/\S+ .*sound/);
  child.kill('SIGINT');
  expect(await ended).toEqual([130, null]);
  expect(leftBehind()).toEqual([]);
});
