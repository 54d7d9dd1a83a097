/**
 * Counts what vitest found: `node .ci/count.mjs FIRST.json EXIT`: what `.ci/run` got of all tests.
 *
 * A file in which something failed is run once more with nothing beside it. The set keeps a machine of two cores more
 * than busy, and what fails there and holds alone was the machine's doing. It is named, so that nobody overlooks one
 * that is so again and again. Where more fail than a busy machine explains, the first result stands.
 */
import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import path from 'node:path';

const MOST_FILES = 20;
const [first, exit] = process.argv.slice(2);
const root = path.dirname(import.meta.dirname);

const read = (file) => {
  try { return JSON.parse(readFileSync(file, 'utf8')); } catch { return undefined; }
};
const has = (status) => (file) => file.assertionResults.filter((test) => test.status === status);
const [failedIn, passedIn] = [has('failed'), has('passed')];
// A file that cannot be loaded has no tests that failed, so it counts as one failure itself.
const failures = (file) => (file.status === 'failed' ? Math.max(failedIn(file).length, 1) : 0);

const result = read(first);
if (result === undefined) {
  console.log('the tests did not run to their end\n0 passed, 1 failed');
  process.exit(1);
}
let files = result.testResults;
const again = files.filter((file) => failures(file) > 0);
/** @type {string[]} */
const toldAlone = [];
const alone = new Map();
if (again.length > 0 && again.length <= MOST_FILES) {
  for (const before of again) {
    const name = path.relative(root, before.name);
    console.log(`== once more, alone: ${name}`);
    const report = `${first}.again.json`;
    const { status } = spawnSync(process.execPath, [path.join(root, 'node_modules/vitest/vitest.mjs'), 'run', name, '--reporter=default', '--reporter=json', `--outputFile.json=${report}`], { cwd: root, stdio: 'inherit' });
    const now = status === 0 ? read(report)?.testResults.find((file) => file.name === before.name) : undefined;
    if (now === undefined) continue;
    alone.set(before, now);
    toldAlone.push(...(failedIn(before).length > 0 ? failedIn(before).map((test) => `${name} > ${test.fullName}`) : [name]));
  }
  files = files.map((file) => alone.get(file) ?? file);
}

// What was not tried here proves nothing: it is named, so that coverage cannot shrink unseen.
for (const test of files.flatMap((file) => file.assertionResults)) if (test.status !== 'passed' && test.status !== 'failed') console.log(`skipped: ${test.fullName}`);
for (const test of toldAlone) console.log(`failed among the others and passed alone: ${test}`);
const failed = files.reduce((sum, file) => sum + failures(file), 0);
// Errors beside all tests have no test that could be run again.
const isBroken = failed > 0 || (again.length === 0 && exit !== '0');
console.log(`${files.reduce((sum, file) => sum + passedIn(file).length, 0)} passed, ${failed} failed`);
process.exit(isBroken ? 1 : 0);
