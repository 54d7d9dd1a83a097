import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import module from 'node:module';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { afterAll, expect, it } from 'vitest';

const cache = await mkdtemp(path.join(tmpdir(), 'compiled-'));
afterAll(() => rm(cache, { recursive: true, force: true }));
/** Loads something large enough to be kept, as a worker does, and is then killed, as workers are. */
const PROGRAM = `const { keepCompiled } = await import(${JSON.stringify(fileURLToPath(new URL('../../dist/workers/compile-cache.js', import.meta.url)))});
await import('pg'); keepCompiled(); process.stdout.write('kept'); process.kill(process.pid, 'SIGKILL');`;

async function start(directory: string, before = ''): Promise<{ stdout: string; stderr: string }> {
  const { NODE_COMPILE_CACHE: _, NODE_DISABLE_COMPILE_CACHE: __, ...environment } = process.env;
  return promisify(execFile)(process.execPath, ['--input-type=module', '-e', before + PROGRAM], { env: { ...environment, XDG_CACHE_HOME: directory } })
    .catch(({ stdout, stderr }: { stdout: string; stderr: string }) => ({ stdout, stderr }));
}

it('keeps what was compiled in our own cache, where Node can', async () => {
  expect(await start(cache)).toEqual({ stdout: 'kept', stderr: '' });
  expect(existsSync(path.join(cache, 'durable-runbooks', 'compiled'))).toBe('enableCompileCache' in module);
});

it('does without a cache that cannot be written', async () => {
  expect(await start('/dev/null/nowhere')).toEqual({ stdout: 'kept', stderr: '' });
});

it('does without one where the user has neither a name nor a HOME', async () => {
  // As Node does it there: not everybody who runs the tests can become such a user. A Node before 22.8 has to be told that it has a cache.
  const nobody = `import module, { syncBuiltinESMExports } from 'node:module'; import os from 'node:os';
module.enableCompileCache ??= () => undefined; os.homedir = () => { throw new Error('ENOENT: uv_os_homedir'); }; syncBuiltinESMExports();`;
  expect(await start('', nobody)).toEqual({ stdout: 'kept', stderr: '' });
});
