import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { readFile, writeFile } from 'node:fs/promises';
import { type AddressInfo, connect, createServer, type NetConnectOpts } from 'node:net';
import { dirname, join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { parse, stringify } from 'yaml';
import type { Configuration } from '../../contracts/configuration.ts';
import { startDemoEnvironment, type DemoEnvironment } from '../../scripts/demo/environment.ts';
import { runDrill, takeBackup } from '../support/drill-run.ts';
import { type Server, startCluster } from '../support/postgres.ts';
import { archiveUpToNow } from '../support/wal-segments.ts';
import { withClient } from '../support/user-clients.ts';

/** Drills of a backup that is as it should be, under a configuration that names something that it does not hold. */
let demo: DemoEnvironment;
let elsewhere: Server;
let backup: string;
/** Nobody listens there, until a test does. */
let silentPort: number;

beforeAll(async () => {
  demo = await startDemoEnvironment({ scale: 0.01, seed: 5, writersPerSecond: 0, log: () => undefined });
  elsewhere = await startCluster({ tcp: true });
  const configuration = parse(await readFile(demo.configurationFile, 'utf8')) as Configuration;
  const { shop } = configuration.databases;
  if (!shop) throw new Error('the demo has no shop');
  const target = { ...shop, gates: {}, checks: [] };
  silentPort = await freePort();
  const at = (port: number) => ({ connection: { host: '127.0.0.1', port, user: 'postgres', database: 'postgres', sslmode: 'disable' as const } });
  configuration.databases['elsewhere'] = { ...target, ...at(elsewhere.port) };
  configuration.databases['silent'] = { ...target, ...at(silentPort), gates: shop.gates };
  configuration.databases['corrected'] = { ...target, connection: { ...shop.connection, host: '127.0.0.1', port: silentPort }, gates: shop.gates };
  // The probe comes right before the loss is measured.
  configuration.databases['moved'] = { ...target, connection: { ...shop.connection, host: '127.0.0.1', port: silentPort }, probe: { command: ['touch', exchanged()], timeout: '10s' } as never };
  configuration.databases['late'] = { ...target, connection: { ...shop.connection, database: 'late' } };
  await writeFile(demo.configurationFile, stringify(configuration));
  await demo.endWorker('SIGTERM');
  await demo.startWorker();
  // Production's collation is out of date, and that of its namesake elsewhere is not.
  const collation = `CREATE COLLATION sorting (provider = icu, locale = 'de'); CREATE TABLE sorted (name text COLLATE sorting); CREATE INDEX ON sorted (name)`;
  await withClient(demo.production.config, async (client) => {
    await client.query(collation);
    await client.query(`UPDATE pg_collation SET collversion = 'old' WHERE collname = 'sorting'`);
  });
  const { database, user } = shop.connection;
  if (user !== elsewhere.superuser) await elsewhere.withClient('postgres', (client) => client.query(`CREATE ROLE "${user}" SUPERUSER LOGIN`));
  await elsewhere.withClient('postgres', (client) => client.query(`CREATE DATABASE ${database}`));
  await elsewhere.withClient(database, (client) => client.query(collation));
  backup = (await takeBackup(demo)).id;
  await withClient(demo.production.config, async (client) => {
    await client.query('CREATE DATABASE late');
    await archiveUpToNow(client, demo.production.archiveDirectory);
  });
});
afterAll(async () => {
  await elsewhere.stop();
  await demo.stop();
});

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  server.close();
  return port;
}

it('a backup of another cluster than the source may restore, which proves nothing of the source', async () => {
  const { evidence, failure } = await runDrill(demo, {}, { database: 'elsewhere' });
  const other = new RegExp(`^recovery point ${backup} is of cluster \\d+, and the source is cluster \\d+: `);
  expect(failure).toMatch(/^not everything could be compared: .*is of cluster \d+, and the source is cluster \d+/);
  expect(evidence.notVerified).toContainEqual(expect.stringMatching(other));
  expect(evidence.checks.filter(({ outcome }) => outcome === 'failed')).toEqual([]);
  expect(evidence.verdict).toEqual({ restore: 'notProven', rto: 'met', rpo: 'missed' });
  expect(evidence.recovery).toMatchObject({ rpaSeconds: null, lostTransactions: null, rpaMethod: expect.stringMatching(other) as string });
});

/** Leads whoever connects to where it says by then. */
const gatewayTo = (where: () => NetConnectOpts) => createServer((socket) => {
  const onwards = connect(where());
  for (const end of [socket, onwards]) end.on('error', () => { socket.destroy(); onwards.destroy(); });
  socket.pipe(onwards).pipe(socket);
});
/** A file that is there once another server has taken the place of the source. */
const exchanged = () => join(dirname(demo.configurationFile), 'exchanged');
const toElsewhere = () => ({ host: '127.0.0.1', port: elsewhere.port });
const toProduction = () => ({ path: `${demo.production.socketDirectory}/.s.PGSQL.${demo.production.port}` });
const OTHER = expect.stringMatching(/is of cluster \d+, and the source is cluster/) as string;

it('so does one of a source that answers only when people have decided', async () => {
  const gateway = gatewayTo(toElsewhere);
  try {
    const { evidence } = await runDrill(demo, {}, { database: 'silent', atGate: async () => { await once(gateway.listen(silentPort, '127.0.0.1'), 'listening'); } });
    expect(evidence.notVerified).toContainEqual(expect.stringContaining('and the source is cluster'));
    expect(evidence.verdict.restore).toBe('notProven');
  } finally {
    gateway.close();
  }
});

it('a connection that is corrected while people decide leaves no reason behind that was true of the wrong one', async () => {
  let isCorrected = false;
  const gateway = gatewayTo(() => isCorrected ? toProduction() : toElsewhere());
  await once(gateway.listen(silentPort, '127.0.0.1'), 'listening');
  try {
    const { evidence, failure } = await runDrill(demo, {}, { database: 'corrected', atGate: () => { isCorrected = true; return Promise.resolve(); } });
    expect(failure).toBeUndefined();
    expect(evidence.notVerified).not.toContainEqual(OTHER);
    expect(evidence.verdict.restore).toBe('sound');
  } finally {
    gateway.close();
  }
});

it('another cluster that has taken the place of the source by the time that the loss is measured proves nothing either', async () => {
  const gateway = gatewayTo(() => existsSync(exchanged()) ? toElsewhere() : toProduction());
  await once(gateway.listen(silentPort, '127.0.0.1'), 'listening');
  try {
    const { evidence, failure } = await runDrill(demo, {}, { database: 'moved' });
    expect(failure).toMatch(/^not everything could be compared: .*is of cluster/);
    expect(evidence.notVerified).toContainEqual(OTHER);
    expect(evidence.verdict.restore).toBe('notProven');
    expect(evidence.recovery).toMatchObject({ rpaSeconds: null, rpaMethod: OTHER });
  } finally {
    gateway.close();
  }
});

it('a database that was made after the backup is not proven to come back', async () => {
  const { evidence, failure } = await runDrill(demo, {}, { database: 'late' });
  expect(failure).toMatch(/^not everything could be compared: database late \(connection\.database\): manifest backup does not hold it/);
  expect(evidence.verdict).toEqual({ restore: 'notProven', rto: 'met', rpo: 'met' });
});

it('the input of a run may allow that, and the verdict stays', async () => {
  const { evidence, failure } = await runDrill(demo, { allowNotProven: true }, { database: 'late' });
  expect(failure).toBeUndefined();
  expect(evidence).toMatchObject({ outcome: 'succeeded', verdict: { restore: 'notProven' }, plan: { allowNotProven: true } });
});
