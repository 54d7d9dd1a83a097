#!/usr/bin/env node
/**
 * `node scripts/bootstrap.mjs demo|test|breadth|browser|faults|bench|soak [arguments]`: from a fresh clone to the thing running.
 * Installs and builds only when needed. Uses nothing but Node, because nothing else is there yet.
 */
import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, readFileSync, readdirSync, statSync, writeFileSync } from 'node:fs';
import { constants } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const node = process.execPath;
const programs = {
  demo: [join(root, 'dist/scripts/demo/main.js')],
  test: [join(root, 'node_modules/vitest/vitest.mjs'), 'run'],
  breadth: [join(root, 'node_modules/vitest/vitest.mjs'), 'run', '--project', 'breadth'],
  browser: [join(root, 'node_modules/vitest/vitest.mjs'), 'run', '--project', 'browser'],
  faults: [join(root, 'dist/test/faults/main.js')],
  bench: [join(root, 'dist/test/bench/main.js')],
  soak: [join(root, 'dist/test/soak/main.js')],
};
const sources = ['contracts', 'workflows', 'activities', 'workers', 'scripts', 'test', 'tsconfig.json', 'package-lock.json'];

const [name, ...rest] = process.argv.slice(2);
const program = programs[name];
if (program === undefined) stop(`say what to run: node scripts/bootstrap.mjs ${Object.keys(programs).join('|')}`, 2);
const [major, minor] = process.versions.node.split('.').map(Number);
if (major < 20 || (major === 20 && minor < 19)) stop(`Node ${process.versions.node} is too old: install Node 20.19 or newer`, 2);

// Progress goes to standard error: with --json the last line of standard output belongs to the program.
const say = (line) => process.stderr.write(`${line}\n`);

await installIfNeeded();
await buildIfNeeded();
if (name === 'browser' && (await run(node, [join(root, 'dist/test/browser/require-chromium.js')])) !== 0) process.exit(1);
// The browser, the benches and the breadth are run by name. Vitest joins its --project options by "or", so ours stays away where another is given.
if (name === 'test' && !rest.some((word) => /^--project(=|$)/.test(word))) program.push('--project', '!b*');
if (name === 'test' || name === 'breadth' || name === 'browser') {
  say('Getting the servers ready that the tests run:');
  await run(node, [join(root, 'dist/scripts/embedded/prepare.js')], { output: 'stderr' });
  // Whoever names files or projects need not wait for what those may never start.
  if (name !== 'browser' && rest.every((word) => /^--(reporter|outputFile)/.test(word))) await run(node, [join(root, 'dist/test/support/prepare-servers.js')], { output: 'stderr' });
}
if (!existsSync(program[0])) stop(`${program[0]} does not exist: this version cannot run "${name}"`, 2);
process.exit(await run(node, [...program, ...rest]));

async function installIfNeeded() {
  const lock = join(root, 'package-lock.json');
  const installed = join(root, 'node_modules/.package-lock.json');
  const stamp = join(root, 'node_modules/.installed-lock.sha256');
  const fingerprint = createHash('sha256').update(readFileSync(lock)).digest('hex');
  if (existsSync(installed)) {
    if (existsSync(stamp) && readFileSync(stamp, 'utf8') === fingerprint) return;
    // Installed by hand after the lock file last changed: as good as our own install.
    if (statSync(installed).mtimeMs >= statSync(lock).mtimeMs) return;
  }
  say('Installing dependencies (npm ci) ...');
  const npm = (...words) => run('npm', [...words, '--no-audit', '--no-fund', '--loglevel=error'], { output: 'stderr' });
  let code = await npm('ci').catch((error) => stop(`npm cannot be started (${error.message}): install npm`, 1));
  if (code !== 0) {
    // npm ci refuses a lock file that lacks optional packages of other platforms, which some registries do not carry.
    // npm install keeps to the locked versions all the same, and --no-save leaves the lock file alone.
    say('npm ci was refused; trying npm install --no-save ...');
    code = await npm('install', '--no-save');
  }
  if (code !== 0) stop(`the dependencies cannot be installed (npm ended with ${code}): see its message above; it needs access to a package registry`, 1);
  writeFileSync(stamp, fingerprint);
}

async function buildIfNeeded() {
  const stamp = join(root, 'dist/.built');
  const built = existsSync(stamp) ? Number(readFileSync(stamp, 'utf8')) : 0;
  if (Math.max(...sources.map((source) => newest(join(root, source)))) < built) return;
  say('Building ...');
  const code = await run(node, [join(root, 'scripts/build.mjs')], { output: 'stderr' });
  if (code !== 0) stop('the build failed: see its message above', 1);
}

/** Latest change at or below `path`. Directories count: a deleted file changes only its directory. */
function newest(path) {
  if (!existsSync(path)) return 0;
  const status = statSync(path);
  if (!status.isDirectory()) return status.mtimeMs;
  return Math.max(status.mtimeMs, ...readdirSync(path).map((entry) => newest(join(path, entry))));
}

/** Runs a program to its end, passing signals on, and resolves with its exit code. */
function run(command, commandArguments, { output = 'stdout' } = {}) {
  const child = spawn(command, commandArguments, { cwd: root, stdio: ['inherit', output === 'stderr' ? 2 : 'inherit', 'inherit'] });
  const handlers = ['SIGINT', 'SIGTERM', 'SIGHUP'].map((signal) => {
    // A terminal gives Ctrl-C to the child as well; a second one from us would mean "at once" to it.
    const handler = () => (signal === 'SIGINT' && process.stdin.isTTY ? undefined : child.kill(signal));
    process.on(signal, handler);
    return () => process.off(signal, handler);
  });
  return new Promise((resolve, reject) => {
    child.once('error', reject);
    child.once('close', (code, signal) => resolve(code ?? 128 + (constants.signals[signal] ?? 0)));
  }).finally(() => handlers.forEach((remove) => remove()));
}

function stop(sentence, code) {
  process.stderr.write(`${sentence}\n`);
  process.exit(code);
}
