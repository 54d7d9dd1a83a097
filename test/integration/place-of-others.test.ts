import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, chownSync, existsSync, lchownSync, mkdirSync, mkdtempSync, readdirSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, it, onTestFinished } from 'vitest';
import { closePlace, drillPlace, openPlace, PLACE_RECORD } from '../../activities/archive-provider/drill-place.ts';
import { sweepAbandonedPlaces } from '../../activities/archive-provider/sweep-places.ts';
import { DRILL_VARIABLE, drillPaths, writeMarker } from '../../activities/drill/drill.ts';
import { classify } from '../../activities/temporal/classify.ts';
import type { DrillPlaceCall } from '../../activities/dr-test/drill-activities.ts';
import { configurationSchema } from '../../contracts/configuration.ts';
import { examineHost } from '../../scripts/cli/doctor-host.ts';

const isRoot = process.getuid?.() === 0;
/** Somebody else of this host. */
const STRANGER = 61_234;
const call: DrillPlaceCall = { database: 'shop', fence: 1, owner: { workflowId: `dr-test/shop/${process.pid}`, firstExecutionRunId: 'r' } };

let root: string;
let parent: string;
let drills: string;
/** What would be lost: a directory of production's files. */
let production: string;
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'drb-others-'));
  [parent, drills, production] = [join(root, 'shared'), join(root, 'shared', 'drills'), join(root, 'production')];
  for (const path of [parent, drills, production]) mkdirSync(path, { mode: 0o711 });
  writeFileSync(join(production, 'PG_VERSION'), '18');
});
afterEach(() => rmSync(root, { recursive: true, force: true }));

/** Makes a place with a drill in it by hand, as somebody can who knows the names; not through what is tested. */
async function forgePlace(): Promise<string> {
  const place = drillPlace(drills, call);
  mkdirSync(join(place.directory, place.name, 'data'), { recursive: true });
  writeFileSync(join(place.directory, PLACE_RECORD), JSON.stringify(call));
  await writeMarker(join(place.directory, place.name), place);
  return place.directory;
}

const opened: [string, () => void][] = [
  ['others may write to it', () => chmodSync(drills, 0o777)],
  ['a group may write to it', () => chmodSync(drills, 0o771)],
  ['others may write to the one above', () => chmodSync(parent, 0o777)],
  ['a link leads to it through one to which others may write', () => { chmodSync(parent, 0o777); symlinkSync(parent, join(root, 'link')); drills = join(root, 'link', 'drills'); }],
  ['others may write to where a link leads up from the far end of another', () => {
    const far = join(parent, 'srv');
    // By the letters alone it would lead to the second.
    for (const path of [far, join(root, 'drills')]) mkdirSync(path, { mode: 0o711 });
    chmodSync(drills, 0o777);
    symlinkSync(far, join(root, 'srv'));
    symlinkSync('../drills', join(far, 'drills'));
    drills = join(root, 'srv', 'drills');
  }],
  ...(isRoot ? [
    ['it is of another user', () => chownSync(drills, STRANGER, STRANGER)],
    ['the one above is of another user', () => chownSync(parent, STRANGER, STRANGER)],
    ['the link to it is of another user', () => { symlinkSync(drills, join(root, 'link')); lchownSync(join(root, 'link'), STRANGER, STRANGER); drills = join(root, 'link'); }],
  ] satisfies [string, () => void][] : []),
];

describe.each(opened)('a directory for drills that others can exchange, since %s', (_why, open) => {
  const refusal = { type: 'UNSAFE_PATH', message: expect.stringMatching(/lead a drill's files elsewhere; .*drills\.directory/) as string };

  it('gets no place', async () => {
    open();
    await expect(openPlace(drills, call)).rejects.toMatchObject(refusal);
    expect(readdirSync(drills)).toEqual([]);
  });

  it('has nothing removed in it, neither by a guardian nor by a worker that starts; both end what runs', async () => {
    const place = await forgePlace();
    const run = async () => {
      const child = spawn('sleep', ['60'], { cwd: '/', stdio: 'ignore', env: { PATH: process.env['PATH'], [DRILL_VARIABLE]: drillPlace(drills, call).name } });
      onTestFinished(() => { child.kill('SIGKILL'); });
      await once(child, 'spawn');
      return once(child, 'exit');
    };
    open();
    const first = run();
    await sleep(50);
    const failure: unknown = await closePlace(drills, call, []).catch((error: unknown) => error);
    expect(failure).toMatchObject(refusal);
    // Somebody may close it meanwhile.
    expect(classify(failure)).toMatchObject({ type: 'PREFLIGHT', nonRetryable: false });
    expect(await first).toEqual([null, 'SIGKILL']);
    const second = run();
    await sleep(50);
    const configuration = configurationSchema.parse({ version: 1, drills: { directory: drills }, databases: { shop: { connection: {}, provider: { kind: 'archive', repository: production, walDirectory: production } } } });
    const stuck: string[] = [];
    const client = { workflow: { getHandle: () => ({ describe: () => Promise.resolve({ status: { name: 'COMPLETED' } }) }) } } as never;
    expect(await sweepAbandonedPlaces({ client, configuration, onStuck: (path, error) => { stuck.push(`${path}: ${error.message}`); } })).toEqual([`1 processes of ${drillPlace(drills, call).directory}`]);
    expect(await second).toEqual([null, 'SIGKILL']);
    expect(stuck).toEqual([expect.stringMatching(/lead a drill's files elsewhere/)]);
    expect(readdirSync(place)).toContain(PLACE_RECORD);
  });

  it('is a problem for `runbook doctor`', async () => {
    open();
    const configuration = configurationSchema.parse({ version: 1, drills: { directory: drills, reserve: '1kB' }, evidence: { directory: root }, databases: { shop: { connection: {}, provider: { kind: 'archive', repository: production, walDirectory: production } } } });
    expect(await examineHost(configuration)).toContainEqual(expect.objectContaining({ name: 'drills directory', outcome: 'problem', todo: expect.stringContaining('chmod go-w') as string }));
  });
});

it('a sticky directory above, as for temporary files, and one that is closed to others will do', async () => {
  chmodSync(parent, 0o1777);
  await openPlace(drills, call);
  expect(await closePlace(drills, call, [])).toEqual([]);
  rmSync(drills, { recursive: true });
  await openPlace(drills, call);
  await closePlace(drills, call, []);
  expect(readdirSync(drills)).toEqual([]);
});

it('a directory for drills in which everybody makes what he likes gets no place, and one that is there already can be closed', async () => {
  const place = await forgePlace();
  chmodSync(drills, 0o1777);
  await expect(openPlace(drills, { ...call, fence: 2 })).rejects.toMatchObject({ type: 'UNSAFE_PATH' });
  // With the sticky bit nobody else can exchange it.
  await closePlace(drills, call, []);
  expect(existsSync(place)).toBe(false);
});

it('a place that is a link of another user is neither used nor emptied', async ({ skip }) => {
  if (!isRoot) return skip('only root can give a link away');
  const { directory } = drillPlace(drills, call);
  symlinkSync(production, directory);
  lchownSync(directory, STRANGER, STRANGER);
  await expect(openPlace(drills, call)).rejects.toMatchObject({ type: 'UNSAFE_PATH' });
  await expect(closePlace(drills, call, [])).rejects.toMatchObject({ type: 'UNSAFE_PATH' });
  expect(readdirSync(production)).toEqual(['PG_VERSION']);
});

it('a drill that is exchanged for a link while its processes are ended has nothing removed at its far end', async () => {
  const place = await forgePlace();
  const { name } = drillPlace(drills, call);
  const directory = join(place, name);
  // Takes its time to end, as who wants to be waited for does.
  const server = spawn('sh', ['-c', `trap '' QUIT; while :; do sleep 0.2; done`], { env: { PATH: process.env['PATH'] ?? '', [DRILL_VARIABLE]: name }, stdio: 'ignore', cwd: '/' });
  const ended = once(server, 'exit');
  try {
    writeFileSync(join(drillPaths(directory).data, 'postmaster.pid'), `${server.pid}\n`);
    await sleep(200);
    const closing = closePlace(drills, call, []).catch((error: unknown) => error);
    await sleep(1000);
    renameSync(directory, join(root, 'aside'));
    symlinkSync(production, directory);
    expect(await closing).toMatchObject({ type: 'NOT_OUR_DRILL' });
    expect(existsSync(join(production, 'PG_VERSION'))).toBe(true);
  } finally {
    server.kill('SIGKILL');
    await ended;
  }
});
