import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { startingLines } from '../../scripts/cli/dev-lines.ts';
import { choosingVariables, NO_PROFILE } from '../../scripts/embedded/own-server-environment.ts';

beforeEach(() => {
  for (const name of choosingVariables(process.env)) vi.stubEnv(name, undefined);
  vi.stubEnv('TEMPORAL_CONFIG_FILE', NO_PROFILE);
});
afterEach(() => void vi.unstubAllEnvs());

const WORDS = ['start', 'dr-test', '--wait'];
const unset = (lines: string[]) => lines.filter((line) => /^ +unset /.test(line));

it('where nothing else is chosen, the server of the usual port needs no address, and another one does', async () => {
  expect(await startingLines('127.0.0.1:7233', WORDS)).toEqual(['start    runbook start dr-test --wait']);
  expect(await startingLines('127.0.0.1:7300', WORDS)).toEqual(['start    runbook start dr-test --wait --address 127.0.0.1:7300']);
});

it('where another address is chosen, the line says which one it is for', async () => {
  vi.stubEnv('TEMPORAL_ADDRESS', 'production:7233');
  expect(await startingLines('127.0.0.1:7233', WORDS)).toEqual(['start    runbook start dr-test --wait --address 127.0.0.1:7233']);
});

it.each([['TEMPORAL_NAMESPACE', 'ops'], ['TEMPORAL_API_KEY', 'k'], ['TEMPORAL_TLS', 'true'], ['TEMPORAL_GRPC_META_TEAM', 'x']])('where %s is chosen, what is to be pasted first lets go of it', async (name, value) => {
  vi.stubEnv('TEMPORAL_ADDRESS', 'production:7233');
  vi.stubEnv(name, value);
  const lines = await startingLines('127.0.0.1:7233', WORDS);
  expect(lines.at(0)).toMatch(/^first +another server is chosen here/);
  expect(lines).toContain(`         export TEMPORAL_ADDRESS=127.0.0.1:7233 TEMPORAL_NAMESPACE=default TEMPORAL_CONFIG_FILE=${NO_PROFILE}`);
  expect(unset(lines)).toEqual(name === 'TEMPORAL_NAMESPACE' ? [] : [`         unset ${name}`]);
  expect(lines.at(-1)).toBe('start    runbook start dr-test --wait');
});

it('a key is let go of also where it goes without TLS', async () => {
  vi.stubEnv('TEMPORAL_API_KEY', 'k');
  vi.stubEnv('TEMPORAL_TLS', 'false');
  expect(unset(await startingLines('127.0.0.1:7233', WORDS))).toEqual(['         unset TEMPORAL_API_KEY TEMPORAL_TLS']);
});

it('so it is where a profile says it, or cannot be read', async () => {
  const directory = mkdtempSync(join(tmpdir(), 'dev-lines-'));
  try {
    const file = join(directory, 'temporal.toml');
    vi.stubEnv('TEMPORAL_CONFIG_FILE', file);
    for (const text of ['[profile.default]\nnamespace = "ops"\n', 'no = [toml']) {
      writeFileSync(file, text);
      expect((await startingLines('127.0.0.1:7233', WORDS)).at(0)).toMatch(/^first /);
    }
    writeFileSync(file, '[profile.default]\naddress = "production:7233"\n');
    expect(await startingLines('127.0.0.1:7233', WORDS)).toEqual(['start    runbook start dr-test --wait --address 127.0.0.1:7233']);
  } finally {
    rmSync(directory, { recursive: true });
  }
});
