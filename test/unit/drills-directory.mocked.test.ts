import { existsSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { drillPlace } from '../../activities/archive-provider/drill-place.ts';
import { checkHost } from '../../activities/archive-provider/preflight.ts';
import { archiveLayout } from '../../activities/archive/layout.ts';
import { drillPaths, socketFile } from '../../activities/drill/drill.ts';
import type * as isolation from '../../activities/drill/isolation.ts';
import type { DrillPlan } from '../../contracts/dr-test.ts';
import { configurationSchema } from '../../contracts/configuration.ts';
import { findPostgres } from '../../activities/postgres/binaries.ts';
import { examineHost } from '../../scripts/cli/doctor-host.ts';
import { describedBackup } from '../support/described-backup.ts';

vi.mock('../../activities/drill/isolation.ts', async (original) => ({ ...await original<typeof isolation>(), probeIsolation: () => Promise.resolve({ network: 'isolated', mounts: 'isolated', reason: null }) }));

/** What the system takes: 108 bytes with the final zero on Linux, 104 elsewhere. */
const LIMIT = process.platform === 'linux' ? 107 : 103;

let root: string;
beforeEach(async () => { root = await mkdtemp(join(tmpdir(), 'd-')); });
afterEach(() => rm(root, { recursive: true }));

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
