import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { mkdir } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { findDrills } from '../../activities/archive-provider/sweep-places.ts';
import type { Configuration } from '../../contracts/configuration.ts';
import { SEARCH_ATTRIBUTES } from '../../contracts/search-attributes.ts';
import { loadConfiguration } from '../../workers/config.ts';
import { cacheDirectory, stateDirectory } from '../../workers/user-directories.ts';
import { resolveTemporalCli } from '../embedded/temporal-cli.ts';
import { startTemporalServer, type TemporalServer } from '../embedded/temporal-server.ts';
import { withClient } from './connect.ts';
import { startingLines } from './dev-lines.ts';
import { CommandError, EXIT, type ExitCode } from './exit.ts';
import type { GlobalOptions } from './options.ts';
import { note, print } from './output.ts';
import { usualPlaces } from './web-ui.ts';
import { loadWorker } from './worker.ts';

/** Ports on this host: of the server and of its web UI. */
export interface DevOptions extends GlobalOptions { port: number; uiPort: number }

/** `runbook dev`: a Temporal server with web UI and a worker, in one process, until Ctrl-C. Started again, it goes on with the runs that were under way. */
export async function dev(options: DevOptions): Promise<ExitCode> {
  // A mistake in the configuration is told before anything is started.
  const { configuration, file } = await loadConfiguration(options.config);
  const runWorker = await loadWorker();
  const server = await startServer(options, stateFile(file, options.port));
  const { address, uiAddress } = server;
  const words = ['start', 'dr-test', '--wait', ...(options.config === undefined ? [] : ['--config', options.config])];
  const starting = await startingLines(address, words);
  const canBeGuessed = usualPlaces(address).includes(uiAddress ?? '') || configuration.webUi !== undefined;
  print(options, { address, webUi: uiAddress ?? null }, () => [
    `web UI   ${uiAddress}`, `Temporal ${address}`, ...starting,
    ...(canBeGuessed ? [] : [`links    \`start\` prints them with \`webUi: ${uiAddress}\` in the configuration`]),
    'Ctrl-C stops both; a run that is under way goes on when this is started again.',
  ]);
  try {
    await runWorker({ config: options.config, flags: { address: server.address, own: true }, log: note });
    await tellWhatStays(address, configuration);
  } finally {
    await server.stop();
  }
  return EXIT.done;
}

/**
 * What the server knows, kept until it is started again: the guardian of a drill then goes on, and tears it down. Only
 * one server can have a port, so no two have one file; another configuration has other drills, which its worker knows.
 */
function stateFile(configurationFile: string, port: number): string {
  const tag = createHash('sha256').update(configurationFile).digest('hex').slice(0, 12);
  return join(stateDirectory(), 'dev', `${port}-${tag}.db`);
}

/** A restored server does not end with its worker, so that runs survive; who stops everything must know of it. */
async function tellWhatStays(address: string, configuration: Configuration): Promise<void> {
  const onStuck = (place: string, error: Error) => note(`warning: ${place} cannot be looked at: ${error.message}`);
  const drills = await withClient({ address, own: true }, ({ client }) => findDrills({ client, configuration, onStuck })).catch(() => []);
  for (const { place, workflowId, guardian } of drills) {
    if (guardian === 'running') note(`warning: ${place} stays, with a copy of production that may be running: ${workflowId} is under way, and goes on when this is started again with the same configuration and port`);
  }
}

async function startServer({ port, uiPort }: DevOptions, dbFile: string): Promise<TemporalServer> {
  try {
    await mkdir(dirname(dbFile), { recursive: true, mode: 0o700 });
    const cli = await resolveTemporalCli({ log: note });
    return await startTemporalServer({ cliPath: cli.path, dbFile, port, uiPort, searchAttributes: SEARCH_ATTRIBUTES, logFile: join(cacheDirectory(), 'dev-server.log') });
  } catch (cause) {
    const { message } = cause as Error;
    const isTaken = /address already in use/i.test(message);
    const advice = isTaken ? '; choose others with --port and --ui-port, or use the server that is there with `runbook worker`'
      : existsSync(dbFile) ? `\nif it cannot use what another version of it wrote: remove ${dbFile}, which forgets the runs in it` : '';
    throw new CommandError(isTaken ? EXIT.usage : EXIT.failed, `${message}${advice}`, { cause });
  }
}
