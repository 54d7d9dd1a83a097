import { spawn } from 'node:child_process';
import { generateKeyPairSync, randomBytes } from 'node:crypto';
import { chmod, mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Client } from '@temporalio/client';
import { parse, stringify } from 'yaml';
import { findPostgres } from '../../activities/postgres/binaries.ts';
import { endDrills } from '../../scripts/demo/environment.ts';
import { writeConfigurationFile } from '../../scripts/demo/configuration-file.ts';
import { startProduction, type Production } from '../../scripts/demo/production.ts';
import { resolveTemporalCli } from '../../scripts/embedded/temporal-cli.ts';
import { startTemporalServer } from '../../scripts/embedded/temporal-server.ts';
import { Started } from '../../scripts/started.ts';
import { startWorkerProcess } from '../faults/worker-process.ts';
import { plantRows, unmistakable, type PlantedRows } from './planted-rows.ts';
import { startReceiver, type Receiver } from './receiver.ts';
import type { Planted } from './secret-forms.ts';
import { withClient } from './user-clients.ts';
import { connectClient } from '../../scripts/client-connection.ts';

/** Everything real, from nothing, with secrets and rows that cannot be mistaken for anything else. */
export interface PlantedEnvironment {
  root: string;
  production: Production;
  rows: PlantedRows;
  /** Rows and secrets. */
  planted: Planted[];
  /** What the addresses of channels hold: whoever receives a message knows it, nobody else may. */
  addresses: Planted[];
  client: Client;
  receiver: Receiver;
  /** Repository of the sound backups, and where the target `judged` looks for damaged ones. */
  repository: string;
  damaged: string;
  /** Directories and files that hold rows or secrets by their nature. */
  private: string[];
  runbook: (...args: string[]) => Promise<{ code: number | null; out: string }>;
  stop: () => Promise<void>;
}

/**
 * Targets: `shop` (all is well), `judged` (broken backups, checks that run into values, people who are told), `mistaken`
 * (a wrong password). The worker is a process of its own, as in production.
 */
export async function startPlantedEnvironment(): Promise<PlantedEnvironment> {
  const root = await mkdtemp(join(tmpdir(), 'secrets-'));
  await chmod(root, 0o711);
  const started = new Started({ log: console.error });
  started.onEnd(() => rm(root, { recursive: true, force: true }));
  try {
    const cli = await resolveTemporalCli({ log: () => undefined });
    const server = await started.begin(() => startTemporalServer({ cliPath: cli.path, searchAttributes: {}, logFile: join(root, 'temporal.log') }), (one) => one.stop());
    const binaries = await findPostgres({});
    const production = await started.begin(() => startProduction({ root: join(root, 'production'), binaries, log: () => undefined, settings: { archive_timeout: '0', autovacuum: 'off' } }), (one) => one.stop());
    const receiver = await started.begin(() => startReceiver((response, _count, { path }) => (path.startsWith('/moved') ? response.writeHead(302, { location: '/elsewhere' }).end() : response.end('ok'))), (one) => one.stop());

    // Characters that every encoding has to change.
    const passwords = { shop: `p@ss w/"${unmistakable()}%'<&>`, judged: `${unmistakable()}+/=`, mistaken: unmistakable() };
    production.superuser.password = passwords.shop;
    const rows = await withClient(production.config, async (client) => {
      await client.query(`ALTER ROLE postgres PASSWORD ${client.escapeLiteral(passwords.shop)}; CREATE ROLE reader SUPERUSER LOGIN PASSWORD ${client.escapeLiteral(passwords.judged)}`);
      return plantRows(client);
    });
    const secrets = join(root, 'secrets');
    await mkdir(secrets, { mode: 0o700 });
    const keep = async (name: string, content: string) => {
      await writeFile(join(secrets, name), content, { mode: 0o600 });
      return join(secrets, name);
    };
    const { privateKey } = generateKeyPairSync('ed25519');
    const pem = privateKey.export({ type: 'pkcs8', format: 'pem' }) as string;
    const keys = { pager: randomBytes(32), moved: randomBytes(32) };
    const tokens = { chat: unmistakable(), pager: unmistakable(), moved: unmistakable() };
    const urlOf = (channel: keyof typeof tokens) => `${receiver.origin}/${channel}/${tokens[channel]}`;
    const environment = { PLANTED_PASSWORD: passwords.judged, PLANTED_PAGER: urlOf('pager'), PLANTED_KEY: `whsec_${keys.moved.toString('base64')}`, TMPDIR: join(root, 'tmp') };
    await mkdir(environment.TMPDIR);
    await chmod(environment.TMPDIR, 0o1777);

    const damaged = join(root, 'damaged');
    const connection = { host: '127.0.0.1', port: production.port, database: production.database };
    const provider = { kind: 'archive', repository: join(root, 'backups'), walDirectory: production.archiveDirectory };
    const gates = { start: { approvers: ['anna'], assurance: 'claimed', expiresAfter: '1h', notify: ['chat', 'pager', 'moved'] } };
    const { configurationFile, repository } = await writeConfigurationFile(root, production, {
      root: {
        evidence: { directory: join(root, 'evidence'), signingKey: await keep('signing.pem', pem), copies: [{ directory: join(root, 'copies') }] },
        notifications: {
          channels: {
            chat: { kind: 'slack', urlFile: await keep('chat', `${urlOf('chat')}\n`) },
            pager: { kind: 'webhook', urlEnv: 'PLANTED_PAGER', secretFile: await keep('pager', `whsec_${keys.pager.toString('base64')}\n`) },
            moved: { kind: 'webhook', urlFile: await keep('moved', urlOf('moved')), secretEnv: 'PLANTED_KEY' },
          },
          alarm: ['pager'],
        },
      },
      drills: {},
      shop: { manifest: { dutyCycle: 1 }, checks: [{ name: 'there are letters', sql: 'SELECT count(*) > 0 FROM planted.letters', expect: true }], probe: { command: ['sleep', '0.2'] } },
    });
    await mkdir(join(root, 'copies'));
    const checks = ["SELECT body::int FROM planted.letters ORDER BY id", 'SELECT planted.says()', 'SELECT body FROM planted.letters ORDER BY id', 'SELECT bin FROM planted.letters ORDER BY id', 'SELECT to_regclass(doc::text)::int FROM planted.letters ORDER BY id'];
    await addTargets(configurationFile, {
      judged: {
        connection: { ...connection, user: 'reader', passwordEnv: 'PLANTED_PASSWORD' }, provider: { ...provider, repository: damaged }, gates,
        checks: checks.map((sql, index) => ({ name: `runs into a value (${index})`, sql, expect: 'something else' })),
        // PostgreSQL refuses to read that column.
        heartbeat: { table: 'planted.beats', column: 'at' }, probe: { command: ['false'] },
      },
      mistaken: { connection: { ...connection, user: 'postgres', passwordFile: await keep('mistaken', passwords.mistaken) }, provider, failedSteps: { wait: '2m' } },
    });
    started.onEnd(() => endDrills(join(root, 'drills')));
    await started.begin(() => startWorkerProcess({ configurationFile, address: server.address, logFile: join(root, 'worker.log'), environment }), (one) => one.signal('SIGTERM'));
    const temporal = await started.begin(() => connectClient({ address: server.address }), (one) => one.close());
    const program = fileURLToPath(new URL('../../dist/scripts/cli/main.js', import.meta.url));
    const runbook = (...args: string[]) => run([program, ...args], { ...process.env, ...environment, TEMPORAL_ADDRESS: server.address, RUNBOOKS_CONFIG: configurationFile, NO_COLOR: '1' });
    return {
      root, production, rows, client: new Client({ connection: temporal }), receiver, repository, damaged, runbook, stop: () => started.end(),
      planted: [
        ...rows.planted,
        ...Object.entries(passwords).map(([target, value]) => ({ name: `password of ${target}`, value })),
        // The text between the markers, and the key itself: its last 32 bytes.
        { name: 'signing key (PEM)', value: pem.split('\n')[1] ?? '' }, { name: 'signing key', value: privateKey.export({ type: 'pkcs8', format: 'der' }).subarray(-32) },
        ...Object.entries(keys).map(([channel, value]) => ({ name: `webhook secret of ${channel}`, value })),
      ],
      addresses: Object.entries(tokens).map(([channel, value]) => ({ name: `address of ${channel}`, value })),
      private: [join(production.dataDirectory), production.archiveDirectory, secrets, join(root, 'password')],
    };
  } catch (error) {
    await started.end();
    throw error;
  }
}

/** Beside `shop`, which the file has already. */
async function addTargets(configurationFile: string, targets: Record<string, object>): Promise<void> {
  const configuration = parse(await readFile(configurationFile, 'utf8')) as { databases: Record<string, object> };
  Object.assign(configuration.databases, targets);
  await writeFile(configurationFile, stringify(configuration, { aliasDuplicateObjects: false }), { mode: 0o600 });
}

async function run(args: string[], env: NodeJS.ProcessEnv): Promise<{ code: number | null; out: string }> {
  const child = spawn(process.execPath, args, { env, stdio: ['ignore', 'pipe', 'pipe'] });
  let out = '';
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (chunk: Buffer) => { out += chunk.toString(); });
  const late = setTimeout(() => child.kill('SIGKILL'), 90_000);
  const code = await new Promise<number | null>((resolve, reject) => child.once('error', reject).once('close', resolve));
  clearTimeout(late);
  return { code, out };
}
