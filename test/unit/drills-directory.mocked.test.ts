import { execFileSync } from 'node:child_process';
import { chmodSync, existsSync, readdirSync } from 'node:fs';
import { chmod, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { drillPlace, openPlace } from '../../activities/archive-provider/drill-place.ts';
import { checkHost } from '../../activities/archive-provider/preflight.ts';
import { archiveLayout } from '../../activities/archive/layout.ts';
import { drillPaths, socketFile } from '../../activities/drill/drill.ts';
import type * as isolation from '../../activities/drill/isolation.ts';
import type { DrillPlan } from '../../contracts/dr-test.ts';
import { findPostgres } from '../../activities/postgres/binaries.ts';
import { classify } from '../../activities/temporal/classify.ts';
import { configurationSchema } from '../../contracts/configuration.ts';
import { examineHost } from '../../scripts/cli/doctor-host.ts';
import { describedBackup } from '../support/described-backup.ts';
import { runAs } from '../support/postgres.ts';

vi.mock('../../activities/drill/isolation.ts', async (original) => ({ ...await original<typeof isolation>(), probeIsolation: () => Promise.resolve({ network: 'isolated', mounts: 'isolated', reason: null }) }));

/** What the system takes: 108 bytes with the final zero on Linux, 104 elsewhere. */
const LIMIT = process.platform === 'linux' ? 107 : 103;

let root: string;
beforeEach(async () => { root = await mkdtemp(join(tmpdir(), 'd-')); });
/** What is to be taken back before anything can be removed. */
const undo: (() => void)[] = [];
afterEach(async () => {
  for (const act of undo.splice(0)) act();
  await rm(root, { recursive: true });
});

/** A directory for drills with a path of that many bytes. */
const directoryOf = (bytes: number) => join(root, 'x'.repeat(bytes - Buffer.byteLength(root) - 1));
function configurationOf(directory: string) {
  return configurationSchema.parse({
    version: 1, drills: { directory, reserve: '1kB' }, evidence: { directory: join(root, 'evidence') },
    databases: { shop: { connection: {}, provider: { kind: 'archive', repository: join(root, 'repository'), walDirectory: join(root, 'wal') } } },
  });
}
async function preflight(directory: string) {
  const major = Number.parseInt((await findPostgres()).version, 10);
  const plan = { predicted: { bytes: 1 }, archive: { bytes: 0 } } as DrillPlan;
  return checkHost(plan, { point: describedBackup({ serverMajor: major }), layout: archiveLayout({ root: join(root, 'repository') }), configuration: configurationOf(directory), signal: new AbortController().signal });
}
const doctor = async (directory: string, name: string) => (await examineHost(configurationOf(directory))).filter((finding) => finding.name === name);

/** Of the drill of a run that is the 999,999th of its target. */
function socketOf(directory: string): number {
  const place = drillPlace(directory, { owner: { workflowId: 'dr-test/shop/1', firstExecutionRunId: 'r' }, fence: 999_999 });
  return Buffer.byteLength(socketFile(drillPaths(join(place.directory, place.name)).socket));
}

it('a directory for drills may be as long as sockets allow, of late runs, too: the doctor, the pre-flight and the drill agree', async () => {
  const longest = LIMIT - (socketOf('/x') - '/x'.length);
  const fits = directoryOf(longest);
  expect(socketOf(fits)).toBe(LIMIT);
  expect(await doctor(fits, 'socket path')).toMatchObject([{ outcome: 'ok', detail: `${LIMIT} of ${LIMIT} bytes` }]);
  expect(await preflight(fits)).toContainEqual(expect.objectContaining({ name: 'disk space', outcome: 'passed' }));

  const tooLong = directoryOf(longest + 3);
  const said = `sockets of drills in ${tooLong} would have paths of up to ${LIMIT + 3} bytes, and ${LIMIT} are possible`;
  expect(await doctor(tooLong, 'socket path')).toMatchObject([{ outcome: 'problem', detail: said, todo: 'shorten the path in drills.directory by 3 bytes' }]);
  await expect(preflight(tooLong)).rejects.toMatchObject({ type: 'PREFLIGHT', nonRetryable: true, message: `${said}; shorten the path in drills.directory by 3 bytes` });
  expect(existsSync(tooLong)).toBe(false);
});

const call = { database: 'shop', fence: 1, owner: { workflowId: 'dr-test/shop/1', firstExecutionRunId: 'r' } };

describe.each([
  ['which nobody may change', 'EPERM', async (directory: string) => {
    await mkdir(directory);
    execFileSync('chattr', ['+i', directory], { stdio: 'ignore' });
    undo.push(() => execFileSync('chattr', ['-i', directory]));
  }],
  ['of another user', 'EACCES', async (directory: string) => {
    await chmod(root, 0o755);
    await mkdir(directory);
    const { uid } = runAs();
    if (uid === undefined) return chmod(directory, 0o555);
    process.seteuid?.(uid);
    undo.push(() => process.seteuid?.(0));
  }],
  ['that another user would have to make', 'EACCES', async () => {
    const { uid } = runAs();
    if (uid === undefined) {
      undo.push(() => chmodSync(root, 0o755));
      return chmod(root, 0o555);
    }
    await chmod(root, 0o755);
    process.seteuid?.(uid);
    undo.push(() => process.seteuid?.(0));
  }],
  ['below a file', 'ENOTDIR', (directory: string) => writeFile(directory, '')],
] as const)('a directory for drills %s (%s)', (what, code, close) => {
  it('is refused by the pre-flight and called a problem by the doctor; a place in it fails at once, by the name of the setting', async ({ skip }) => {
    const closed = join(root, 'closed');
    if (what === 'which nobody may change' && process.getuid?.() !== 0) return skip('only root can make a directory immutable');
    await close(closed);
    const directory = code === 'ENOTDIR' ? join(closed, 'drills') : closed;
    const before = readdirSync(root);
    const said = new RegExp(`^${directory} cannot be written: ${code}: .*; give this user write permission on ${code === 'EPERM' || what === 'of another user' || code === 'ENOTDIR' ? closed : root}, or change drills\\.directory$`);
    await expect(preflight(directory)).rejects.toMatchObject({ type: 'PREFLIGHT', nonRetryable: true, message: expect.stringMatching(said) as string });
    const [found] = await doctor(directory, 'drills directory');
    expect(found).toMatchObject({ outcome: 'problem' });
    expect(`${found?.detail}; ${found?.todo}`).toMatch(said);
    expect(classify(await openPlace(directory, call).catch((error: unknown) => error))).toMatchObject({ type: 'PREFLIGHT', nonRetryable: true, message: expect.stringMatching(/drills\.directory/) as string });
    expect(readdirSync(root)).toEqual(before);
  });
});

it('a directory for drills that can be written holds nothing after the pre-flight, which says what else is wrong beside one that cannot', async () => {
  const directory = join(root, 'drills');
  await preflight(directory);
  expect(readdirSync(directory)).toEqual([]);
  await writeFile(join(root, 'file'), '');
  await expect(preflight(join(root, 'file', 'x'.repeat(90)))).rejects.toMatchObject({ message: expect.stringMatching(/bytes; .*ENOTDIR/) as string });
});
