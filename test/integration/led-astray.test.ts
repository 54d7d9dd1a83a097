import { linkSync, renameSync, rmSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import type { Client } from 'pg';
import { afterAll, afterEach, beforeAll, beforeEach, expect, it } from 'vitest';
import { Sessions } from '../../activities/manifest/session.ts';
import { runOwnChecks } from '../../activities/dr-test/own-checks.ts';
import { probe } from '../../activities/dr-test/probe.ts';
import { renewAccess } from '../../activities/drill/access.ts';
import { drillClientConfig, withDrillClient } from '../../activities/drill/client.ts';
import { destroyDrill } from '../../activities/drill/destroy.ts';
import { DRILL_PORT, drillPaths } from '../../activities/drill/drill.ts';
import type { PreparedDrill } from '../../activities/drill/prepare.ts';
import { recoverToEnd } from '../../activities/drill/recover.ts';
import { readState } from '../../activities/drill/server.ts';
import { classify } from '../../activities/temporal/classify.ts';
import type { RecoveryPoint } from '../../contracts/recovery-point.ts';
import { type ArchivedSource, archiveNow, backUp, drillOf, productionPaths, startArchivedSource, DRILL_NAME } from '../support/archived-source.ts';

let source: ArchivedSource;
let point: RecoveryPoint;
let prepared: PreparedDrill;

beforeAll(async () => {
  source = await startArchivedSource({ log_statement: 'all', log_connections: 'on' });
  point = await backUp(source, 'b1');
  await source.server.withClient('postgres', (client) => client.query('CREATE TABLE later AS SELECT 1 AS n'));
  await archiveNow(source);
}, 120_000);
afterAll(() => source.server.stop());
beforeEach(async () => {
  prepared = await drillOf(source, point);
  await recover();
}, 60_000);
afterEach(() => destroyDrill({ name: DRILL_NAME, run: 'run-1', fence: '1', drillsDirectory: source.drillsDirectory, productionPaths: productionPaths(source) }));

const recover = () => recoverToEnd({ drill: prepared.drill, target: null, expectedEndLsn: prepared.wal.endLsn, timeline: 1 });
const address = (database: string) => drillClientConfig(prepared.drill, { database });
const theirs = () => join(source.server.socketDirectory, `.s.PGSQL.${source.server.port}`);

/** What a function that was restored can do with the directory of the copy's socket, which belongs to the copy's user. */
const ways: [string, (socket: string) => void][] = [
  ['a link to production\'s socket', (socket) => { rmSync(socket); symlinkSync(theirs(), socket); }],
  ['a link to a directory with production\'s socket', (socket) => {
    renameSync(join(socket, '..'), join(socket, '..', '..', 'aside'));
    const trap = join(socket, '..', '..', 'trap');
    symlinkSync(source.server.socketDirectory, trap);
    renameSync(trap, join(socket, '..'));
  }],
  // Looks like the copy's own where production runs as the same user: only the server tells that it is another.
  ['production\'s socket itself', (socket) => { rmSync(socket); linkSync(theirs(), socket); }],
];
const uses: [string, () => Promise<unknown>][] = [
  ['a look at its state', () => readState(prepared.drill)],
  ['its recovery', recover],
  ['a change of who may log in', () => renewAccess(prepared.drill)],
  ['a check of the owner\'s', () => runOwnChecks(address, [{ name: 'n', sql: 'SELECT true', expect: 'true' }] as never, { database: 'postgres', signal: new AbortController().signal })],
  ['a comparison', async () => {
    const sessions = new Sessions({ connect: address, applicationName: 'test', limits: { statementTimeoutMs: 1000, lockTimeoutMs: 1000 }, signal: new AbortController().signal });
    await sessions.open('postgres').finally(() => sessions.closeAll());
  }],
  ['anything else', () => withDrillClient(prepared.drill, 'postgres', (client: Client) => client.query('SELECT 1'))],
];

it.each(ways)('a worker that finds %s where the copy\'s was asks nothing of it', async (what, put) => {
  put(join(drillPaths(prepared.drill.directory).socket, `.s.PGSQL.${DRILL_PORT}`));
  const before = source.server.log().length;
  for (const [name, use] of uses) {
    const failure: unknown = await use().catch((error: unknown) => error);
    expect(classify(failure), name).toMatchObject({ type: 'FENCED', nonRetryable: true, message: expect.stringContaining('is not the copy') as string });
  }
  const probing = probe({ command: ['true'], timeout: 5_000 } as never, { address, database: 'postgres', environment: {}, marker: {}, signal: new AbortController().signal });
  const isItself = what === 'production\'s socket itself';
  expect(await probing.then(() => 'started', (error: { type: string }) => error.type)).toBe(isItself ? 'started' : 'NOT_OUR_DRILL');
  const said = source.server.log().slice(before);
  const asked = [...said.matchAll(/(?:statement|execute [^:]*): (.*)/g)].map(([, statement]) => statement);
  expect({ isConnected: /connection (received|authorized)/.test(said), asked: [...new Set(asked)] }).toEqual(isItself ? { isConnected: true, asked: ['SHOW data_directory'] } : { isConnected: false, asked: [] });
}, 60_000);
