/**
 * Counts what vitest found: `node .ci/count.mjs FIRST.json WHOLE.json EXIT [STEP...]`: what `.ci/run` got of all tests, and the steps before them that failed.
 *
 * A file in which something failed is run again with nothing beside it, twice. The set keeps a machine of two cores more
 * than busy, and what fails there and holds alone both times was the machine's doing. It is named, so that nobody overlooks one
 * that is so again and again. Where more fail than a busy machine explains, the first result stands; and so does whatever no
 * test can be blamed for: an error beside all tests, a file whose process died.
 */
import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import path from 'node:path';

const MOST_FILES = 10;
const TIMES_ALONE = 2;
const [first, whole, exit, ...steps] = process.argv.slice(2);
const root = path.dirname(import.meta.dirname);

const read = (file) => {
  try { return JSON.parse(readFileSync(file, 'utf8')); } catch { return undefined; }
};
const has = (status) => (file) => file.assertionResults.filter((test) => test.status === status);
const [failedIn, passedIn] = [has('failed'), has('passed')];
// A file that cannot be loaded has no tests that failed, so it counts as one failure itself.
const failures = (file) => (file.status === 'failed' ? Math.max(failedIn(file).length, 1) : 0);

const [result, beside] = [read(first), read(whole)];
if (result === undefined || beside === undefined) {
  for (const step of steps) console.log(`failed: ${step}`);
  console.log(`the tests did not run to their end\n0 passed, ${steps.length + 1} failed`);
  process.exit(1);
}

/** What a file gave alone; undefined where anything that failed before, or now, did not pass. */
function runAlone(before) {
  const name = path.relative(root, before.name);
  console.log(`== once more, alone: ${name}`);
  const report = `${first}.again.json`;
  const { status } = spawnSync(process.execPath, [path.join(root, 'node_modules/vitest/vitest.mjs'), 'run', name, '--reporter=default', '--reporter=json', `--outputFile.json=${report}`], { cwd: root, stdio: 'inherit' });
  const now = status === 0 ? read(report)?.testResults.find((file) => file.name === before.name) : undefined;
  const passed = new Set(now && passedIn(now).map((test) => test.fullName));
  return passed.size > 0 && failedIn(before).every((test) => passed.has(test.fullName)) ? now : undefined;
}

let files = result.testResults;
const again = files.filter((file) => failures(file) > 0);
/** @type {string[]} */
const toldAlone = [];
const alone = new Map();
if (again.length <= MOST_FILES) {
  for (const before of again) {
    let now;
    for (let time = 1; time <= TIMES_ALONE; time += 1) if ((now = runAlone(before)) === undefined) break;
    if (now === undefined) continue;
    alone.set(before, now);
    const name = path.relative(root, before.name);
    toldAlone.push(...(failedIn(before).length > 0 ? failedIn(before).map((test) => `${name} > ${test.fullName}`) : [name]));
  }
  files = files.map((file) => alone.get(file) ?? file);
}

// What was not tried here proves nothing: it is named, so that coverage cannot shrink unseen.
for (const test of files.flatMap((file) => file.assertionResults)) if (test.status !== 'passed' && test.status !== 'failed') console.log(`skipped: ${test.fullName}`);
for (const test of toldAlone) console.log(`failed among the others and passed alone: ${test}`);
const passed = files.reduce((sum, file) => sum + passedIn(file).length, 0);
// No test tells of these, and none that is run again can take them back.
const broken = [
  ...beside.errors.map((error) => `error beside all tests: ${error}`),
  ...beside.unfinished.map((file) => `did not run to its end: ${path.relative(root, file)}`),
  ...(beside.reason === 'interrupted' ? ['the tests were ended early'] : []),
  ...(passed === 0 ? ['no test passed'] : []),
];
const failed = files.reduce((sum, file) => sum + failures(file), 0);
// Whatever else vitest found, where nothing above says what. A test that failed explains that it ended with 1, and no other end.
if (broken.length === 0 && exit !== '0' && !(exit === '1' && again.length > 0)) broken.push(`vitest ended with ${exit}`);
broken.push(...steps.map((step) => `failed: ${step}`));
for (const what of broken) console.log(what);
console.log(`${passed} passed, ${failed + broken.length} failed`);
process.exit(failed + broken.length > 0 ? 1 : 0);
