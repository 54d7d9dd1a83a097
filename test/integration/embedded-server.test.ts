import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Client, type Connection } from '@temporalio/client';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { hostTaskQueue, SEARCH_ATTRIBUTES, TASK_QUEUE } from '../../contracts/search-attributes.ts';
import { ACTIVITIES, hasPollers } from '../../scripts/cli/start-run.ts';
import { resolveTemporalCli } from '../../scripts/embedded/temporal-cli.ts';
import { startTemporalServer } from '../../scripts/embedded/temporal-server.ts';
import { hostName } from '../../workers/host.ts';
import { registerSearchAttributes } from '../../workers/search-attributes.ts';
import { startWorkerProcess } from '../faults/worker-process.ts';
import { connectClient } from '../../scripts/client-connection.ts';

describe('the embedded Temporal server', () => {
  let directory: string;
  let cliPath: string;
  let logFile: string;

  beforeAll(async () => {
    directory = await mkdtemp(join(tmpdir(), 'embedded-server-'));
    logFile = join(directory, 'server.log');
    cliPath = (await resolveTemporalCli({ log: console.log })).path;
  });

  afterAll(() => rm(directory, { recursive: true, force: true }));

  it('answers with its search attributes registered, and is gone after stop', async () => {
    const server = await startTemporalServer({ cliPath, searchAttributes: { RunbookTarget: 'Keyword' }, logFile });
    const connection = await connectClient({ address: server.address });
    const { customAttributes } = await connection.operatorService.listSearchAttributes({ namespace: 'default' });
    expect(customAttributes).toHaveProperty('RunbookTarget');
    await connection.close();
    await server.stop();
    expect(isAlive(server.pid)).toBe(false);
    await server.stop();
  });

  it('an attribute of ours that it has with another type is left out, and said: a run that set it would hang', async () => {
    const server = await startTemporalServer({ cliPath, searchAttributes: { RunbookPhase: 'Int' }, logFile });
    const connection = await connectClient({ address: server.address });
    const warnings: string[] = [];
    const known = await registerSearchAttributes(connection, 'default', (line) => warnings.push(line));
    expect(known).toEqual(Object.keys(SEARCH_ATTRIBUTES).filter((name) => name !== 'RunbookPhase'));
    expect(warnings).toEqual(['the search attributes RunbookPhase are registered with another type than ours; runs do without them']);
    await connection.close();
    await server.stop();
  });

  it('serves the web UI on request and only then', async () => {
    const server = await startTemporalServer({ cliPath, uiPort: 0, searchAttributes: {}, logFile });
    try {
      expect((await fetch(server.uiAddress!)).status).toBe(200);
    } finally {
      await server.stop();
    }
    const headless = await startTemporalServer({ cliPath, searchAttributes: {}, logFile });
    await headless.stop();
    expect(headless.uiAddress).toBeUndefined();
  });

  it('is started once more where it ends at once: a former one may still have its file', async () => {
    const tried = join(directory, 'tried');
    // As SQLite says it while another server of that file is ending.
    const busy = join(directory, 'busy.sh');
    await writeFile(busy, `#!/bin/sh\n[ -e '${tried}' ] && exec '${cliPath}' "$@"\n: > '${tried}'\necho 'cannot start a transaction within a transaction' >&2\nexit 1\n`, { mode: 0o755 });
    for (const place of [{}, { dbFile: join(directory, 'busy.db') }]) {
      const server = await startTemporalServer({ cliPath: busy, ...place, searchAttributes: {}, logFile });
      expect(existsSync(tried), 'the first one ended').toBe(true);
      await server.stop();
      await rm(tried);
    }
    const attempts = join(directory, 'attempts');
    await writeFile(busy, `#!/bin/sh\necho one >> '${attempts}'\necho 'cannot start a transaction within a transaction' >&2\nexit 1\n`, { mode: 0o755 });
    await expect(startTemporalServer({ cliPath: busy, searchAttributes: {}, logFile })).rejects.toThrow('within a transaction');
    expect(await readFile(attempts, 'utf8')).toBe('one\none\n');
  });

  it('is started once more where it ends at once, also after its port was taken, and before it is', async () => {
    const tried = join(directory, 'tried');
    const unlucky = join(directory, 'unlucky.sh');
    await writeFile(unlucky, `#!/bin/sh\necho one >> '${tried}'\ncase $(wc -l < '${tried}') in 1|3) echo 'bind: address already in use' >&2; exit 1;; 2) exit 1;; esac\nexec '${cliPath}' "$@"\n`, { mode: 0o755 });
    await (await startTemporalServer({ cliPath: unlucky, searchAttributes: {}, logFile })).stop();
    expect(await readFile(tried, 'utf8')).toBe('one\none\none\none\n');
  });

  it('keeps its state in a file over a restart on the same port', async () => {
    const dbFile = join(directory, 'state.db');
    const first = await startTemporalServer({ cliPath, dbFile, searchAttributes: { RunbookType: 'Keyword' }, logFile });
    await withConnection(first.address, async (connection) => {
      await connection.workflowService.startWorkflowExecution({
        namespace: 'default', workflowId: 'kept', workflowType: { name: 'any' }, taskQueue: { name: 'any' }, requestId: 'kept',
      });
    });
    await first.stop();
    const port = Number(first.address.split(':')[1]);
    const second = await startTemporalServer({ cliPath, dbFile, port, searchAttributes: { RunbookType: 'Keyword' }, logFile });
    await withConnection(second.address, async (connection) => {
      const found = await connection.workflowService.describeWorkflowExecution({ namespace: 'default', execution: { workflowId: 'kept' } });
      expect(found.workflowExecutionInfo?.type?.name).toBe('any');
    });
    await second.stop();
  });

  it('gets a worker that says it is ready when the server knows what runs set, not before, and that asks for work', async () => {
    const server = await startTemporalServer({ cliPath, searchAttributes: {}, logFile });
    const configurationFile = join(directory, 'runbooks.yaml');
    await writeFile(configurationFile, `
version: 1
evidence: { directory: ./evidence }
databases: { shop: { connection: {}, provider: { kind: archive, repository: ./backups, walDirectory: ./wal } } }
`);
    try {
      const worker = await startWorkerProcess({ configurationFile, address: server.address, logFile });
      await withConnection(server.address, async (connection) => {
        const { customAttributes } = await connection.operatorService.listSearchAttributes({ namespace: 'default' });
        expect(Object.keys(customAttributes ?? {})).toEqual(expect.arrayContaining(Object.keys(SEARCH_ATTRIBUTES)));
        const connected = { client: new Client({ connection }), namespace: 'default' };
        // That the server has heard what it asks for, a worker is not told.
        await expect.poll(() => Promise.all([hasPollers(connected, TASK_QUEUE), hasPollers(connected, hostTaskQueue(hostName()), ACTIVITIES)])).toEqual([true, true]);
      });
      await worker.signal('SIGTERM');
    } finally {
      await server.stop();
    }
  });

  it('ends within seconds when its parent is killed with -9', async () => {
    const program = join(directory, 'parent.mjs');
    const module = fileURLToPath(new URL('../../dist/scripts/embedded/temporal-server.js', import.meta.url));
    await writeFile(program, `
      const { startTemporalServer } = await import(${JSON.stringify(module)});
      const server = await startTemporalServer(${JSON.stringify({ cliPath, searchAttributes: {}, logFile })});
      process.stdout.write(String(server.pid));
      setInterval(() => {}, 1000);
    `);
    const parent = spawn(process.execPath, [program], { stdio: ['ignore', 'pipe', 'inherit'] });
    const [said] = (await once(parent.stdout, 'data')) as [Buffer];
    const pid = Number(said.toString());
    expect(isAlive(pid)).toBe(true);
    parent.kill('SIGKILL');
    await expect.poll(() => isAlive(pid)).toBe(false);
  });

  it('says that it is gone when it is killed itself', async () => {
    const server = await startTemporalServer({ cliPath, searchAttributes: {}, logFile });
    process.kill(server.pid, 'SIGKILL');
    await server.exited;
    expect(isAlive(server.pid)).toBe(false);
  });

  it('reports the words of a server that cannot start', async () => {
    const taken = await startTemporalServer({ cliPath, searchAttributes: {}, logFile });
    const port = Number(taken.address.split(':')[1]);
    const dbFile = join(directory, 'no', 'such', 'directory.db');
    try {
      await expect(startTemporalServer({ cliPath, dbFile, searchAttributes: {}, logFile })).rejects.toThrow(/did not start: it ended\n.*directory/s);
      await expect(startTemporalServer({ cliPath: join(directory, 'absent'), searchAttributes: {}, logFile })).rejects.toThrow(/absent/);
      await expect(startTemporalServer({ cliPath, port, searchAttributes: {}, logFile })).rejects.toThrow(`port ${port} cannot be used (address already in use)`);
    } finally {
      await taken.stop();
    }
  });
});

async function withConnection(address: string, use: (connection: Connection) => Promise<void>): Promise<void> {
  const connection = await connectClient({ address });
  try {
    await use(connection);
  } finally {
    await connection.close();
  }
}

function isAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch {
    return false;
  }
}
