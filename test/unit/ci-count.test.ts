import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, expect, it } from 'vitest';

const root = fileURLToPath(new URL('../../', import.meta.url));
const place = mkdtempSync(join(tmpdir(), 'count-'));
afterAll(() => rmSync(place, { recursive: true, force: true }));

/** A file that takes no time, and what it has. */
const QUICK = { name: join(root, 'test/unit/keep-newest.test.ts'), test: 'leaves out nothing that does not count against the limit' };
const passed = (name: string, ...tests: string[]) => ({ name, status: 'passed', assertionResults: tests.map((fullName) => ({ fullName, status: 'passed' })) });
const failed = (name: string, ...tests: string[]) => ({ name, status: 'failed', assertionResults: tests.map((fullName) => ({ fullName, status: 'failed' })) });
const NOTHING_BESIDE = { errors: [], unfinished: [], reason: 'passed' };

function count({ files, beside = NOTHING_BESIDE, exit = '0', steps = [] }: { files: object[]; beside?: object; exit?: string; steps?: string[] }) {
  const [first, whole] = [join(place, 'first.json'), join(place, 'whole.json')];
  writeFileSync(first, JSON.stringify({ testResults: files }));
  writeFileSync(whole, JSON.stringify(beside));
  const { status, stdout } = spawnSync(process.execPath, [join(root, '.ci/count.mjs'), first, whole, exit, ...steps], { encoding: 'utf8', env: { ...process.env, VITEST: '' } });
  return { status, last: stdout.trim().split('\n').at(-1), said: stdout };
}

it('counts what passed', () => {
  expect(count({ files: [passed('/a', 'one', 'two'), passed('/b', 'three')] })).toMatchObject({ status: 0, last: '3 passed, 0 failed' });
});

it.each([
  { what: 'an error beside all tests', beside: { ...NOTHING_BESIDE, errors: ['Error: nobody caught it'] }, says: 'error beside all tests: Error: nobody caught it' },
  { what: 'a file whose process died', beside: { ...NOTHING_BESIDE, unfinished: [join(root, 'test/unit/dead.test.ts')] }, says: 'did not run to its end: test/unit/dead.test.ts' },
  { what: 'a run that was ended early', beside: { ...NOTHING_BESIDE, reason: 'interrupted' }, says: 'the tests were ended early' },
  { what: 'a step before the tests that failed', steps: ['lint and import arrows'], says: 'failed: lint and import arrows' },
  { what: 'an end of vitest that no test explains', exit: '1', says: 'vitest ended with 1' },
])('$what is a failure, although every test passed', ({ says, ...input }) => {
  const counted = count({ files: [passed('/a', 'one')], ...input });
  expect(counted).toMatchObject({ status: 1, last: '1 passed, 1 failed' });
  expect(counted.said).toContain(says);
});

it('no test at all is a failure', () => {
  expect(count({ files: [] })).toMatchObject({ status: 1, last: '0 passed, 1 failed' });
});

it('nothing to read is a failure', () => {
  const { status, stdout } = spawnSync(process.execPath, [join(root, '.ci/count.mjs'), join(place, 'absent'), join(place, 'absent'), '0'], { encoding: 'utf8' });
  expect({ status, stdout }).toEqual({ status: 1, stdout: expect.stringContaining('0 passed, 1 failed') });
});

it('a file that fails alone as well stays failed', () => {
  expect(count({ files: [passed('/a', 'one'), failed(join(root, 'test/unit/is-not-there.test.ts'), 'two')], exit: '1' })).toMatchObject({ status: 1, last: '1 passed, 1 failed' });
});

it('a test that failed and is not found when its file runs alone stays failed', () => {
  expect(count({ files: [passed('/a', 'one'), failed(QUICK.name, 'a test that is no more')], exit: '1' })).toMatchObject({ status: 1, last: '1 passed, 1 failed' });
});

it('a file that passes alone twice is named, and explains that vitest ended with 1, but not that it died', () => {
  const input = { files: [failed(QUICK.name, QUICK.test)] };
  const counted = count({ ...input, exit: '1' });
  expect(counted).toMatchObject({ status: 0, last: expect.stringMatching(/^[1-9]\d* passed, 0 failed$/) });
  expect(counted.said).toContain(`failed among the others and passed alone: test/unit/keep-newest.test.ts > ${QUICK.test}`);
  expect(count({ ...input, exit: '139' })).toMatchObject({ status: 1, last: expect.stringMatching(/ passed, 1 failed$/) });
});
