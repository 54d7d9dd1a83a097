import { chmodSync, chownSync, existsSync, mkdirSync, readdirSync, renameSync, rmSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { dirname, join } from 'node:path';
import { afterAll, afterEach, beforeAll, expect, it, vi } from 'vitest';
import { archiveProvider } from '../../activities/archive-provider/archive-provider.ts';
import { drillPlace, recallDrill } from '../../activities/archive-provider/drill-place.ts';
import { findOnPath } from '../../activities/archive/host-programs.ts';
import type { DrillPlaceCall, DrillRef } from '../../activities/dr-test/drill-activities.ts';
import { drillPaths } from '../../activities/drill/drill.ts';
import { readBootId } from '../../activities/drill/host-boot.ts';
import { probeIsolation } from '../../activities/drill/isolation.ts';
import { classify } from '../../activities/temporal/classify.ts';
import { configurationSchema } from '../../contracts/configuration.ts';
import type { DrillPlan } from '../../contracts/dr-test.ts';
import type { RecoveryPoint } from '../../contracts/recovery-point.ts';
import { type ArchivedSource, archiveNow, backUp, startArchivedSource } from '../support/archived-source.ts';
import { createWalkableDirectory } from '../support/postgres.ts';

const isRoot = process.getuid?.() === 0;
let source: ArchivedSource;
let point: RecoveryPoint;
let call: DrillPlaceCall & DrillRef;
const provider = (network: 'required' | 'bestEffort' = 'bestEffort', directory = source.drillsDirectory) => {
  const configuration = configurationSchema.parse({
    version: 1, drills: { directory, reserve: '1MiB', network, priority: 'low' },
    databases: { shop: { connection: {}, provider: { kind: 'archive', repository: source.layout.root, walDirectory: source.layout.wal } } },
  });
  return archiveProvider({ settings: configuration.databases['shop']!, configuration });
};
const tools = { signal: new AbortController().signal, onProgress: () => undefined };

beforeAll(async () => {
  source = await startArchivedSource();
  point = await backUp(source, 'b1');
  for (let n = 0; n < 3; n += 1) await archiveSomething();
  call = { database: 'shop', recoveryPointId: point.id, fence: 7, owner: { workflowId: `dr-test/shop/${process.pid}`, firstExecutionRunId: 'r' } };
});
afterEach(() => provider().closePlace(call));
afterAll(() => source.server.stop());

const archiveSomething = async () => {
  await source.server.withClient('postgres', (client) => client.query('SELECT pg_create_restore_point($1)', ['something']));
  await archiveNow(source);
};
/** As the plan sees the archive now. */
const plan = async (): Promise<DrillPlan> => {
  // What was archived a moment ago came before.
  await sleep(20);
  const declaredAt = new Date().toISOString();
  const { lastPiece, pieces, bytes } = await provider().supply(point.id, declaredAt);
  return { database: 'shop', declaredAt, recoverTo: null, source: null, recoveryPoint: { id: point.id }, predicted: { bytes }, archive: { lastSegment: lastPiece, segments: pieces, bytes } } as DrillPlan;
};
const segments = () => readdirSync(source.layout.wal).filter((name) => /^[0-9A-F]{24}$/.test(name)).sort();
const drillDirectory = () => { const { directory, name } = drillPlace(source.drillsDirectory, call); return join(directory, name); };

it('segments that were touched while people decided are restored as they were planned, and newer ones are not', async () => {
  const planned = await plan();
  await sleep(20);
  for (const name of segments()) chmodSync(join(source.layout.wal, name), 0o640);
  const before = segments();
  await archiveSomething();
  expect(segments().length).toBeGreaterThan(before.length);
  // Looked at once more before the gate passes.
  const { lastSegment, ...counted } = planned.archive;
  expect(await provider().supply(point.id, planned.declaredAt, lastSegment)).toMatchObject({ lastPiece: lastSegment, pieces: counted.segments, bytes: counted.bytes, reachesUntil: planned.declaredAt });
  await provider().openPlace(call);
  const restored = await provider().restore(call, planned, tools);
  expect(restored.walSegments).toBe(planned.archive.segments);
  const copied = readdirSync(drillPaths(drillDirectory()).wal).filter((name) => /^[0-9A-F]{24}$/.test(name)).sort();
  expect(copied.at(-1)).toBe(planned.archive.lastSegment);
  const { drill } = await recallDrill(drillPlace(source.drillsDirectory, call));
  expect(drill.priority, 'as configured').toBe('low');
  expect(drill.bootId, 'for whoever recovers it').toBe(await readBootId());
  // Root can choose, and does not choose who owns production's files.
  expect(drill.owner?.uid).not.toBe(isRoot ? statSync(source.server.dataDirectory).uid : 0);
});

it('an archive that ends earlier than the plan that was approved is no finding about the backup', async () => {
  const planned = await plan();
  const last = join(source.layout.wal, planned.archive.lastSegment!);
  renameSync(last, `${last}.aside`);
  try {
    await provider().openPlace(call);
    const failure: unknown = await provider().restore(call, planned, tools).catch((error: unknown) => classify(error));
    expect(failure).toMatchObject({ type: 'PREFLIGHT', nonRetryable: true, message: expect.stringMatching(/archive changed since the plan.*start the drill again/) as string });
  } finally {
    renameSync(`${last}.aside`, last);
  }
});

it('a host that isolated when the plan was made and does not any more is refused where that is required, before anything is copied', async ({ skip }) => {
  if (!isRoot || (await probeIsolation(null)).mounts !== 'isolated') return skip('this host cannot isolate, or the copy would run as production does');
  const planned = await plan();
  const required = provider('required');
  const checks = await required.preflight(planned, tools.signal);
  expect(checks).toContainEqual(expect.objectContaining({ name: 'isolation', outcome: 'passed' }));
  expect(checks.map(({ name }) => name)).toContain('priority');
  await required.openPlace(call);
  const path = process.env['PATH'];
  const bare = join(source.drillsDirectory, '..', 'bare');
  mkdirSync(bare);
  symlinkSync(findOnPath('ionice') ?? '/bin/true', join(bare, 'ionice'));
  process.env['PATH'] = bare;
  try {
    const failure: unknown = await required.restore(call, planned, tools).catch((error: unknown) => classify(error));
    expect(failure).toMatchObject({ type: 'PREFLIGHT', nonRetryable: true, message: expect.stringContaining('the drill cannot be cut off from the network (this host has no "unshare"') as string });
    expect(readdirSync(dirname(drillDirectory()))).toEqual(['place.json']);
    expect((await provider('bestEffort').restore(call, planned, tools)).isolation).toMatchObject({ network: 'notIsolated' });
  } finally {
    process.env['PATH'] = path;
    rmSync(bare, { recursive: true });
  }
});

it("a worker that runs as production's own user, and not as root, is refused where isolation is required, and says so where it is not", async ({ skip }) => {
  if ((await probeIsolation(null)).mounts !== 'isolated') return skip('this host cannot isolate');
  const planned = await plan();
  const uid = vi.spyOn(process, 'getuid').mockReturnValue(statSync(source.server.dataDirectory).uid);
  try {
    const open = "the drill cannot be kept from production's processes and all of its files";
    const refused = { type: 'PREFLIGHT', nonRetryable: true, message: expect.stringContaining(`${open} (`) as string };
    await expect(provider('required').preflight(planned, tools.signal)).rejects.toMatchObject(refused);
    await provider().openPlace(call);
    await expect(provider('required').restore(call, planned, tools)).rejects.toMatchObject(refused);
    expect(await provider().preflight(planned, tools.signal)).toContainEqual(expect.objectContaining({ name: 'isolation', outcome: 'skipped', detail: expect.stringContaining(`${open}: it runs as user`) as string }));
    expect((await provider().restore(call, planned, tools)).isolation).toMatchObject({ network: 'isolated', mounts: 'isolated', user: expect.stringContaining('it runs as user') as string });
  } finally {
    uid.mockRestore();
  }
});

it.each([
  ['the repository', () => source.layout.root], ['the WAL archive', () => source.layout.wal], ["the source's data directory", () => source.server.dataDirectory],
])('drills within %s are refused before anything is made, and where that changed since the plan, nothing is left', async (_what, within) => {
  const planned = await plan();
  const directory = join(within(), 'd', 'h');
  const unsafe = provider('bestEffort', directory);
  const failure: unknown = await unsafe.preflight(planned, tools.signal).catch((error: unknown) => error);
  expect(failure).toMatchObject({ type: 'PREFLIGHT', nonRetryable: true, message: expect.stringMatching(/which belongs to the source; set drills\.directory to a directory elsewhere/) as string });
  expect(existsSync(dirname(directory))).toBe(false);
  try {
    // Root does not even open a place among files of the source's user, who could exchange it.
    const opened = await unsafe.openPlace(call).then(() => 'opened', ({ type }: { type: string }) => type);
    expect(opened).toBe(isRoot ? 'UNSAFE_PATH' : 'opened');
    mkdirSync(drillPlace(directory, call).directory, { recursive: true });
    await expect(unsafe.restore(call, planned, tools)).rejects.toMatchObject({ type: 'UNSAFE_PATH' });
    const closed = await unsafe.closePlace(call).then(() => readdirSync(directory), ({ type }: { type: string }) => type);
    expect(closed).toEqual(isRoot ? 'UNSAFE_PATH' : []);
  } finally {
    rmSync(dirname(directory), { recursive: true, force: true });
  }
});

it('a copy is kept from what belongs to the production of other databases on this host, too', async ({ skip }) => {
  const neighbour = createWalkableDirectory('neighbour');
  const [repository, socketDirectory] = [join(neighbour, 'repository'), join(neighbour, 'socket')];
  for (const path of [repository, socketDirectory]) mkdirSync(path);
  writeFileSync(join(socketDirectory, '.s.PGSQL.6000'), '');
  const archive = { kind: 'archive' };
  const configuration = configurationSchema.parse({
    version: 1, drills: { directory: source.drillsDirectory, reserve: '1MiB', network: 'bestEffort' },
    databases: {
      shop: { connection: {}, provider: { ...archive, repository: source.layout.root, walDirectory: source.layout.wal } },
      other: { connection: { host: socketDirectory, port: 6000 }, provider: { ...archive, repository, walDirectory: join(repository, 'wal') } },
    },
  });
  const both = archiveProvider({ settings: configuration.databases['shop']!, configuration });
  const planned = await plan();
  const prepare = async () => {
    await both.openPlace(call);
    await both.restore(call, planned, tools);
    const { drill } = await recallDrill(drillPlace(source.drillsDirectory, call));
    await both.closePlace(call);
    return drill;
  };
  const { hiddenPaths, owner } = await prepare();
  expect(hiddenPaths).toEqual(expect.arrayContaining([repository, socketDirectory]));
  if (!isRoot || !owner) return skip('only root chooses as whom the copy runs');
  chownSync(repository, owner.uid, owner.gid);
  const second = await prepare();
  expect(second.owner?.uid).not.toBe(owner.uid);
  chownSync(join(socketDirectory, '.s.PGSQL.6000'), second.owner!.uid, second.owner!.gid);
  expect([owner.uid, second.owner?.uid]).not.toContain((await prepare()).owner?.uid);
});
