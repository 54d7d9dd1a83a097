import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { delimiter, dirname } from 'node:path';
import { expect, it, vi } from 'vitest';
import { evidenceSchema } from '../../contracts/evidence.ts';
import { resolveTemporalCli } from '../../scripts/embedded/temporal-cli.ts';
import { startDemoProgram, THEIRS } from '../support/demo-program.ts';

// The demo that is asked for nothing: test/integration/demo-plain.test.ts.
it('damages a backup, and ends well because the drill, which was not told, named it; evidence and report stay', async () => {
  const { said, printed, ended, left } = startDemoProgram('--broken');
  expect(await ended, said()).toEqual([0, null]);
  expect(said()).toMatch(/approving as anna: temporal workflow signal .+ --address 127\.0\.0\.1:\d+\n/);
  expect(said()).toMatch(/dr-test was not told, and named the damage: /);
  expect(said()).toContain('verdict: restore unsound');
  const file = printed(/\nevidence +(\S+)\n/);
  const evidence = evidenceSchema.parse(JSON.parse(readFileSync(file, 'utf8')));
  expect(evidence).toMatchObject({ outcome: 'failed', verdict: { restore: 'unsound' } });
  expect(readFileSync(printed(/\nreport +(\S+)\n/), 'utf8')).toContain('<html');
  expect(await left()).toEqual({ processes: [], files: [] });
});

it('waits for a person where it is told to, stays up for what it says to try, and goes when it is stopped', async () => {
  const { child, said, printed, ended, left } = startDemoProgram('--interactive', '--keep');
  const cli = await resolveTemporalCli({ log: () => undefined });
  const theirTerminal = { ...process.env, ...THEIRS, NO_COLOR: '1', PATH: `${dirname(cli.path)}${delimiter}${process.env['PATH']}` };
  await vi.waitUntil(() => said().includes('waiting for you: ') || child.exitCode !== null, { timeout: 800_000, interval: 100 });
  // As it stands there, for another terminal: with the address, and with TLS off, as no key of theirs is sent.
  const command = printed(/waiting for you: .* or (temporal workflow signal .+)\n/);
  execFileSync('env', ['-u', 'TEMPORAL_API_KEY', '-u', 'TEMPORAL_NAMESPACE', 'sh', '-c', command], { env: theirTerminal });
  await vi.waitUntil(() => said().includes('stop everything') && said().includes('export RUNBOOKS_CONFIG') || child.exitCode !== null, { timeout: 800_000, interval: 100 });
  expect(child.exitCode, said()).toBeNull();
  expect(said()).toContain('verdict: restore sound');
  const pasted = said().split('\n').filter((line) => /^(unset|export) /.test(line)).join('\n');
  const listed = execFileSync('sh', ['-c', `${pasted}\nrunbook runs`], { env: theirTerminal, encoding: 'utf8' });
  expect(listed).toMatch(/dr-test\/shop\/\S+ .*sound/);
  child.kill('SIGINT');
  expect(await ended).toEqual([130, null]);
  expect(await left()).toEqual({ processes: [], files: [] });
});
