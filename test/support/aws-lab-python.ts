import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { fillAtomically, isExecutable } from '../../scripts/embedded/fill-atomically.ts';
import { cacheDirectory } from '../../workers/user-directories.ts';

/** What the lab is run from. */
export const LAB_DIRECTORY = findLab();

/** What moto and its requirements at these versions ask for. */
const OLDEST_PYTHON = '3.10';

const run = promisify(execFile);

/**
 * A Python with the lab's requirements: from the cache, or installed into it, which takes half a minute.
 *
 * @throws Error that says what to install when there is no Python with venv, or nothing could be installed
 */
export async function resolveLabPython(log: (line: string) => void, environment: NodeJS.ProcessEnv = process.env): Promise<string> {
  const requirements = path.join(LAB_DIRECTORY, 'requirements.txt');
  const python = await findPython(environment);
  const version = createHash('sha256').update(await readFile(requirements)).update(python.version).digest('hex').slice(0, 12);
  const directory = path.join(cacheDirectory(environment), `aws-lab-${version}`);
  const program = path.join(directory, 'bin', 'python');
  if (await isExecutable(program)) return program;
  log(`installing moto for the AWS lab with ${python.program} ${python.version} into ${directory}; the first time takes half a minute`);
  await fillAtomically(directory, async (unfinished) => {
    await advised(run(python.program, ['-m', 'venv', unfinished], { env: environment }), 'Python has no venv: install it (on Debian and Ubuntu, apt-get install python3-venv)');
    const pip = ['-m', 'pip', 'install', '--disable-pip-version-check', '--no-input', '--quiet', '--requirement', requirements];
    await advised(run(path.join(unfinished, 'bin', 'python'), pip, { env: environment, maxBuffer: 1 << 26 }), 'pip could not install test/aws-lab/requirements.txt: it needs a registry of Python packages');
  });
  log('the AWS lab is installed');
  return program;
}

async function findPython(environment: NodeJS.ProcessEnv): Promise<{ program: string; version: string }> {
  const ask = ['-c', `import sys, venv; print("%d.%d" % sys.version_info[:2]); sys.exit(sys.version_info < (${OLDEST_PYTHON.replace('.', ', ')}))`];
  for (const program of [environment['AWS_LAB_PYTHON'], 'python3', 'python'].filter((name) => name !== undefined)) {
    const version = await run(program, ask, { env: environment }).then(({ stdout }) => stdout.trim(), () => undefined);
    if (version !== undefined) return { program, version };
  }
  throw new Error(`the AWS lab needs Python ${OLDEST_PYTHON} or newer with venv, and none was found: install it (on Debian and Ubuntu, apt-get install python3 python3-venv), or set AWS_LAB_PYTHON to its path`);
}

async function advised(done: Promise<unknown>, advice: string): Promise<void> {
  await done.catch((error: Error & { stderr?: string }) => {
    throw new Error(`${advice}\n${(error.stderr ?? error.message).trim().split('\n').slice(-5).join('\n')}`, { cause: error });
  });
}

/** Beside the sources, also when this file was compiled into dist. */
function findLab(): string {
  const beside = fileURLToPath(new URL('../aws-lab', import.meta.url));
  return existsSync(beside) ? beside : fileURLToPath(new URL('../../../test/aws-lab', import.meta.url));
}
