import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, utimesSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Client, type Connection } from '@temporalio/client';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { drillPlace, openPlace, PLACE_RECORD } from '../../activities/archive-provider/drill-place.ts';
import { findDrills, sweepAbandonedPlaces } from '../../activities/archive-provider/sweep-places.ts';
import { destroyDrill, proveAbsent } from '../../activities/drill/destroy.ts';
import { type Drill, drillMarker, drillPaths, writeMarker } from '../../activities/drill/drill.ts';
import { findProcesses, identifyProcess, isAlive, type ProcessIdentity, sendSignal, untilGone } from '../../activities/drill/processes.ts';
import { recoverToLsnAndPause } from '../../activities/drill/recover.ts';
import { findServer } from '../../activities/drill/server.ts';
import { configurationSchema, type Configuration } from '../../contracts/configuration.ts';
import { GUARDIAN_TYPE, guardianId } from '../../contracts/guardian.ts';
import type { DrillPlaceCall } from '../../activities/dr-test/drill-activities.ts';
import type { RecoveryPoint } from '../../contracts/recovery-point.ts';
import { resolveTemporalCli } from '../../scripts/embedded/temporal-cli.ts';
import { startTemporalServer, type TemporalServer } from '../../scripts/embedded/temporal-server.ts';
import { type ArchivedSource, backUp, drillOf, productionPaths, startArchivedSource, DRILL_NAME } from '../support/archived-source.ts';
import { connectClient } from '../../scripts/client-connection.ts';

const OWNER = { name: DRILL_NAME, run: 'run-1', fence: '1' };

describe('a marker that was cut off', () => {
  let root: string;
  let directory: string;
  beforeEach(() => {
    root = mkdtempSync(join(tmpdir(), 'drb-marker-'));
    directory = join(root, OWNER.name);
    mkdirSync(join(directory, 'data'), { recursive: true });
  });
  afterEach(() => rmSync(root, { recursive: true, force: true }));
  const destroy = () => destroyDrill({ ...OWNER, drillsDirectory: root, productionPaths: [] });
  const markerOf = async (owner: typeof OWNER) => {
    await writeMarker(directory, owner);
    return readFileSync(drillPaths(directory).marker, 'utf8');
  };

  it.each([['empty', 0], ['half written', 40], ['whole', 1000]])('and is %s does not keep its own drill from being destroyed', async (_how, length) => {
    writeFileSync(drillPaths(directory).marker, (await markerOf(OWNER)).slice(0, length));
    expect((await destroy()).existed).toBe(true);
    expect(existsSync(directory)).toBe(false);
  });

  it('and is zeros after a power cut does not either', async () => {
    writeFileSync(drillPaths(directory).marker, Buffer.alloc((await markerOf(OWNER)).length));
    expect((await destroy()).existed).toBe(true);
  });

  it('and has no name yet does not either, where nothing else was made', async () => {
    rmSync(join(directory, 'data'), { recursive: true });
    writeFileSync(`${drillPaths(directory).marker}.part`, '{"dur');
    expect((await destroy()).existed).toBe(true);
  });

  it.each([
    ['is of another run', (text: string) => text.replace('run-1', 'run-2')], ['is of another run and half written', (text: string) => text.replace('run-1', 'run-2').slice(0, -3)],
    ['is something else', () => 'null'], ['is text', () => 'mine'],
  ])('protects a directory when it %s', async (_how, change) => {
    writeFileSync(drillPaths(directory).marker, change(await markerOf(OWNER)));
    await expect(destroy()).rejects.toMatchObject({ type: 'NOT_OUR_DRILL' });
    expect(readdirSync(directory)).toContain('data');
  });

  it('is never seen by a reader: it is written beside and renamed', async () => {
    const seen = new Set<string>();
    await writeMarker(directory, OWNER);
    const whole = readFileSync(drillPaths(directory).marker, 'utf8');
    let writing = true;
    const reader = (async () => { while (writing) { seen.add(readFileSync(drillPaths(directory).marker, 'utf8')); await new Promise(setImmediate); } })();
    for (let i = 0; i < 200; i += 1) await writeMarker(directory, OWNER);
    writing = false;
    await reader;
    expect([...seen]).toEqual([whole]);
  });
});

describe('processes of a drill', () => {
  let source: ArchivedSource;
  let point: RecoveryPoint;
  let people: { identity: ProcessIdentity; end: () => Promise<void> } | undefined;
  beforeAll(async () => {
    source = await startArchivedSource();
    point = await backUp(source, 'b1');
  });
  const destroy = () => destroyDrill({ ...OWNER, drillsDirectory: source.drillsDirectory, productionPaths: productionPaths(source) });
  afterEach(async () => {
    await people?.end();
    people = undefined;
    await destroy();
  });
  afterAll(() => source.server.stop());

  const workIn = async (directory: string) => {
    const child = spawn('sleep', ['600'], { cwd: directory, stdio: 'ignore' });
    const exited = once(child, 'exit');
    await once(child, 'spawn');
    const identity = await identifyProcess(child.pid ?? 0);
    if (!identity) throw new Error('the process of a person did not start');
    people = { identity, end: async () => { child.kill('SIGKILL'); await exited; } };
    return identity;
  };
  /** A drill whose server was killed, but not its children, which overwrote their environment. */
  const orphaned = async (): Promise<{ drill: Drill; orphans: ProcessIdentity[] }> => {
    const { drill } = await drillOf(source, point);
    await recoverToLsnAndPause({ drill, lsn: point.stopLsn, timeline: 1 });
    const server = await findServer(drill);
    if (!server) throw new Error('the drill has no server');
    const all = await findProcesses({ marker: drillMarker(drill.name), directory: drill.directory });
    const orphans = all.filter(({ pid }) => pid !== server.pid);
    // A child that is stopped does not notice that its server is gone.
    for (const { pid } of orphans) sendSignal(pid, 'SIGSTOP');
    sendSignal(server.pid, 'SIGKILL');
    expect(await untilGone([server], 60_000)).toEqual([]);
    expect(orphans.length).toBeGreaterThan(2);
    return { drill, orphans };
  };

  it('are ended with it, its server\'s orphans too, and a person\'s process that works in its directory is not', async () => {
    const { drill, orphans } = await orphaned();
    const person = await workIn(drillPaths(drill.directory).data);
    const { processesEnded } = await destroy();
    expect(processesEnded).toBe(orphans.length);
    expect(await untilGone(orphans, 0)).toEqual([]);
    expect(await isAlive(person)).toBe(true);
    expect(await proveAbsent({ name: DRILL_NAME, drillsDirectory: source.drillsDirectory })).toMatchObject({ absent: true, findings: [] });
  });

  it('are ended before its directory is made anew, and a person\'s is not', async () => {
    const { drill, orphans } = await orphaned();
    const person = await workIn(drill.directory);
    await drillOf(source, point);
    expect(await untilGone(orphans, 0)).toEqual([]);
    expect(await isAlive(person)).toBe(true);
  });
});

describe('the sweep of abandoned places', () => {
  const owner = { workflowId: 'dr-test/shop/lost', firstExecutionRunId: 'gone' };
  let root: string;
  let directory: string;
  let configuration: Configuration;
  let server: TemporalServer;
  let connection: Connection;
  beforeAll(async () => {
    const logs = mkdtempSync(join(tmpdir(), 'drb-sweep-log-'));
    const cli = await resolveTemporalCli({ log: () => undefined });
    server = await startTemporalServer({ cliPath: cli.path, searchAttributes: {}, logFile: join(logs, 'server.log') });
    connection = await connectClient({ address: server.address });
    return async () => {
      await connection.close();
      await server.stop();
      rmSync(logs, { recursive: true, force: true });
    };
  });
  beforeEach(() => {
    root = mkdtempSync(join(tmpdir(), 'drb-sweep-'));
    directory = join(root, 'drills');
    configuration = configurationSchema.parse({
      version: 1, evidence: { directory: root }, drills: { directory }, lease: { maximum: '1m' },
      databases: { shop: { connection: {}, provider: { kind: 'archive', repository: join(root, 'backups'), walDirectory: join(root, 'wal') } } },
    });
  });
  afterEach(() => rmSync(root, { recursive: true, force: true }));

  it('goes on after a place that it cannot remove, and tells which', async () => {
    const made: string[] = [];
    // The middle of five is sound, whatever order the directory is read in.
    for (const fence of [1, 2, 3, 4, 5]) {
      const call: DrillPlaceCall = { database: 'shop', fence, owner };
      await openPlace(directory, call);
      const place = drillPlace(directory, call);
      const record = join(place.directory, PLACE_RECORD);
      if (fence <= 2) writeFileSync(record, '{"database":"sh');
      if (fence >= 4) mkdirSync(join(place.directory, place.name, 'of somebody else'), { recursive: true });
      utimesSync(record, 0, 0);
      made.push(place.directory);
      if (fence === 3) {
        mkdirSync(join(place.directory, place.name));
        await writeMarker(join(place.directory, place.name), place);
      }
    }
    const stuck: Record<string, string> = {};
    const client = new Client({ connection });
    const removed = await sweepAbandonedPlaces({ client, configuration, onStuck: (place, error) => { stuck[place] = error.message; } });
    expect(removed).toEqual([expect.stringContaining(made[2] as string)]);
    expect(existsSync(made[2] as string)).toBe(false);
    expect(new Set(Object.keys(stuck))).toEqual(new Set([made[0], made[1], made[3], made[4]]));
    const unseen: string[] = [];
    const found = await findDrills({ client, configuration, onStuck: (place) => { unseen.push(place); } });
    expect(found.filter(({ isAbandoned }) => isAbandoned).map(({ place }) => place).toSorted()).toEqual([made[3], made[4]]);
    expect(unseen.toSorted()).toEqual([made[0], made[1]]);
    expect(stuck[made[3] as string]).toMatch(/does not carry the marker/);
  });

  it('stops, however far it has come, when the run of a place is begun anew, and leaves to that run what it makes', async () => {
    const call: DrillPlaceCall = { database: 'shop', fence: 7, owner };
    const place = drillPlace(directory, call);
    const drill = join(place.directory, place.name);
    const begin = () => new Client({ connection }).workflow.start(GUARDIAN_TYPE, { workflowId: guardianId(owner), taskQueue: 'nobody' });
    const make = async (what: string) => {
      await openPlace(directory, call);
      mkdirSync(join(drill, 'data', 'base'), { recursive: true });
      await writeMarker(drill, place);
      writeFileSync(join(drill, 'data', what), '');
    };
    const sweepWhile = async (resetAtLook: number) => {
      const guardian = await begin();
      await make('old');
      await guardian.terminate();
      let looks = 0;
      const client = new Client({ connection, interceptors: { workflow: [{ async describe(input, next) {
        looks += 1;
        if (looks === resetAtLook) {
          await begin();
          await make('new');
        }
        return next(input);
      } }] } });
      const stuck: string[] = [];
      const removed = await sweepAbandonedPlaces({ client, configuration, onStuck: (_place, error) => { stuck.push(error.message); } });
      if (looks < resetAtLook) return { looks, removed };
      expect([existsSync(join(drill, 'data', 'new')), existsSync(join(drill, 'drill.json')), existsSync(join(place.directory, PLACE_RECORD)), removed], `at look ${resetAtLook}`).toEqual([true, true, true, []]);
      expect(stuck.map((why) => why.includes('begun anew')), `at look ${resetAtLook}`).toEqual(resetAtLook === 1 ? [] : [true]);
      await new Client({ connection }).workflow.getHandle(guardianId(owner)).terminate();
      return undefined;
    };
    let last: Awaited<ReturnType<typeof sweepWhile>>;
    for (let resetAtLook = 1; (last = await sweepWhile(resetAtLook)) === undefined;) resetAtLook += 1;
    // Before the round, before each tree, before the marker, before the place itself.
    expect(last).toEqual({ looks: 5, removed: [`directory ${drill}`] });
    expect(existsSync(place.directory)).toBe(false);
  });
});
