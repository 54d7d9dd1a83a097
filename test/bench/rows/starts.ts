import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { stringify } from 'yaml';
import { interleave } from '../interleave.ts';
import { secondsOutcome } from '../outcome.ts';
import { built, execute } from '../stage/run.ts';
import { startWorker } from '../stage/worker.ts';
import type { RowGroup } from './row.ts';

/** `runbook --help` from the start of the process to its end; beside it Node itself, which nobody can be faster than. */
export const cliHelp: RowGroup = {
  names: ['cliHelp'],
  async measure({ settings }) {
    const samples = await interleave([
      { name: 'help', run: async () => {
        if (!(await execute(process.execPath, [built('scripts/cli/main.js'), '--help'])).includes('Usage: runbook')) throw new Error('runbook --help did not print its usage');
      } },
      { name: 'node', run: async () => void (await execute(process.execPath, ['-e', '0'])) },
    ], { repetitions: settings.repetitions * 4, warmUps: settings.repetitions > 1 ? 2 : 0 });
    return [secondsOutcome('cliHelp', samples.get('help') ?? [], { others: [{ name: 'node -e 0', samples: samples.get('node') ?? [] }] })];
  },
};

/** A worker process from its start until it says that it is ready, on a server that knows the search attributes; beside it the SDK alone. */
export const workerStart: RowGroup = {
  names: ['workerStart'],
  async measure({ site, settings }) {
    const { address } = await site.server();
    const configurationFile = join(site.root, 'worker-start.yaml');
    const backups = join(site.root, 'no-backups');
    await mkdir(backups, { recursive: true });
    await writeFile(configurationFile, stringify({ version: 1, evidence: { directory: join(site.root, 'evidence') }, databases: { shop: { connection: {}, provider: { kind: 'archive', repository: backups, walDirectory: backups } } } }));
    const start = (program?: string) => async () => {
      const worker = await startWorker({ configurationFile, address, ...(program === undefined ? {} : { program }) });
      await worker.stop();
      return worker.readySeconds;
    };
    // The server is told the search attributes, and disks are warm, before anything counts.
    const samples = await interleave([{ name: 'start', run: start() }, { name: 'bare', run: start('test/bench/baselines/bare-worker.js') }], { repetitions: settings.repetitions, warmUps: settings.repetitions > 1 ? 2 : 0 });
    return [secondsOutcome('workerStart', samples.get('start') ?? [], { others: [{ name: 'the SDK alone, same bundle', samples: samples.get('bare') ?? [] }], notes: [`Node ${process.versions.node}`] })];
  },
};
