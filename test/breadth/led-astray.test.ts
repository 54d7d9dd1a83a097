import { once } from 'node:events';
import { existsSync, linkSync, mkdtempSync, readFileSync, renameSync, rmSync, symlinkSync } from 'node:fs';
import { createRequire } from 'node:module';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
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
import { holdSocket } from '../../activities/drill/held-socket.ts';
import type { PreparedDrill } from '../../activities/drill/prepare.ts';
import { recoverToEnd } from '../../activities/drill/recover.ts';
import { readState, stopDrill } from '../../activities/drill/server.ts';
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
});
afterAll(() => source.server.stop());
beforeEach(async () => {
  prepared = await drillOf(source, point);
  await recover();
});
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
  expect(await probing.then(() => 'started', (error: { type: string }) => error.type)).toBe('NOT_OUR_DRILL');
  const isItself = what === 'production\'s socket itself';
  const said = source.server.log().slice(before);
  const asked = [...said.matchAll(/(?:statement|execute [^:]*): (.*)/g)].map(([, statement]) => statement);
  expect({ isConnected: /connection (received|authorized)/.test(said), asked: [...new Set(asked)] }).toEqual(isItself ? { isConnected: true, asked: ['SHOW data_directory'] } : { isConnected: false, asked: [] });
});

/**
 * A probe during which something exchanges the socket, at the worst moment: it has been started and has not connected yet.
 * Gives what came of it, and the data directory of the server that it reached.
 */
async function probeWhile(exchange: string): Promise<{ came: string; reached: string }> {
  const reached = join(mkdtempSync(join(tmpdir(), 'drb-reached-')), 'data-directory');
  const script = `
    const [fs, { join, dirname }, { Client }] = [require('node:fs'), require('node:path'), require(process.argv[1])];
    const [, , own, theirs, reached] = process.argv;
    const { PGHOST: host, PGPORT: port, PGUSER: user, PGDATABASE: database } = process.env;
    const shown = join(host, '.s.PGSQL.' + port);
    const swap = (file) => { fs.symlinkSync(theirs, file + '.l'); fs.renameSync(file, join(dirname(file), 'aside')); fs.renameSync(file + '.l', file); };
    const putBack = (file) => fs.renameSync(join(dirname(file), 'aside'), file);
    const connect = async () => {
      const client = new Client({ host, port: Number(port), user, database });
      await client.connect();
      fs.writeFileSync(reached, (await client.query('SHOW data_directory')).rows[0].data_directory);
      await client.end();
    };
    (async () => { ${exchange} })();`;
  const own = join(drillPaths(prepared.drill.directory).socket, `.s.PGSQL.${DRILL_PORT}`);
  const command = [process.execPath, '-e', script, createRequire(import.meta.url).resolve('pg'), own, theirs(), reached];
  const came = await probe({ command, timeout: 20_000 } as never, { address, database: 'postgres', environment: {}, marker: {}, signal: new AbortController().signal })
    .then(({ outcome }) => outcome, (error: { type: string }) => error.type);
  return { came, reached: existsSync(reached) ? readFileSync(reached, 'utf8') : 'none' };
}

it('a probe reaches the copy, and no other server, whatever is put where the copy\'s socket was', async () => {
  expect(await probeWhile('swap(own); await connect();')).toEqual({ came: 'passed', reached: drillPaths(prepared.drill.directory).data });
});

it('a probe finds the copy again when it is tried again, and when the copy was started anew', async () => {
  const ofTheCopy = { came: 'passed', reached: drillPaths(prepared.drill.directory).data };
  expect([await probeWhile('await connect();'), await probeWhile('await connect();')]).toEqual([ofTheCopy, ofTheCopy]);
  await stopDrill({ drill: prepared.drill, mode: 'fast' });
  await recover();
  expect(await probeWhile('await connect();')).toEqual(ofTheCopy);
});

// As only the worker's own user can, whom the copy is where that one is not root.
it.each([['exchanged', 'swap(shown); await connect();'], ['exchanged and put back', 'swap(shown); await connect(); putBack(shown);']])('a probe counts for nothing where what it was shown was %s', async (_, exchange) => {
  expect(await probeWhile(exchange)).toEqual({ came: 'NOT_OUR_DRILL', reached: source.server.dataDirectory });
});

it.skipIf(!existsSync('/dev/shm'))('a socket that gets no second name, as in a file system without links, is seen to have been exchanged', async () => {
  const [here, elsewhere] = [mkdtempSync(join(tmpdir(), 'drb-held-')), mkdtempSync('/dev/shm/drb-held-')];
  const socket = join(here, '.s');
  const listening = createServer().listen(socket);
  await once(listening, 'listening');
  const held = await holdSocket(socket, elsewhere);
  expect([held.host, await held.moved()]).toEqual([here, undefined]);
  renameSync(socket, join(here, 'aside'));
  symlinkSync(theirs(), socket);
  expect(await held.moved()).toContain('is not what it was');
  rmSync(socket);
  renameSync(join(here, 'aside'), socket);
  expect(await held.moved()).toContain('was something else meanwhile');
  listening.close();
  for (const directory of [here, elsewhere]) rmSync(directory, { recursive: true, force: true });
});
