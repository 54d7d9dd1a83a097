import { join } from 'node:path';
import { SEARCH_ATTRIBUTES } from '../../contracts/search-attributes.ts';
import { loadConfiguration } from '../../workers/config.ts';
import { cacheDirectory } from '../embedded/cache-directory.ts';
import { resolveTemporalCli } from '../embedded/temporal-cli.ts';
import { startTemporalServer, type TemporalServer } from '../embedded/temporal-server.ts';
import { CommandError, EXIT, type ExitCode } from './exit.ts';
import type { GlobalOptions } from './options.ts';
import { note, print } from './output.ts';
import { ourCommand } from './printed-command.ts';
import { usualPlaces } from './web-ui.ts';
import { loadWorker } from './worker.ts';

export interface DevOptions extends GlobalOptions { port: number; uiPort: number }

const DEFAULT_PORT = 7233;

/** `runbook dev`: a Temporal server with web UI and a worker, in one process, until Ctrl-C. The server forgets its runs when it ends; the evidence stays. */
export async function dev(options: DevOptions): Promise<ExitCode> {
  // A mistake in the configuration is told before anything is started.
  const { configuration } = await loadConfiguration(options.config);
  const runWorker = await loadWorker();
  const server = await startServer(options);
  const { address, uiAddress } = server;
  const words = ['start', 'dr-test', '--wait', ...(options.config === undefined ? [] : ['--config', options.config])];
  // Without an address, the other commands look where Temporal's own do.
  const start = ourCommand(options.port === DEFAULT_PORT ? {} : { address }, ...words);
  const canBeGuessed = usualPlaces(address).includes(uiAddress ?? '') || configuration.webUi !== undefined;
  print(options, { address, webUi: uiAddress ?? null }, () => [
    `web UI   ${uiAddress}`, `Temporal ${address}`, `start    ${start}`,
    ...(canBeGuessed ? [] : [`links    \`start\` prints them with \`webUi: ${uiAddress}\` in the configuration`]),
    'Ctrl-C stops both; evidence stays.',
  ]);
  try {
    await runWorker({ config: options.config, flags: { address: server.address, namespace: 'default' }, log: note });
  } finally {
    await server.stop();
  }
  return EXIT.done;
}

async function startServer({ port, uiPort }: DevOptions): Promise<TemporalServer> {
  try {
    const cli = await resolveTemporalCli({ log: note });
    return await startTemporalServer({ cliPath: cli.path, port, uiPort, searchAttributes: SEARCH_ATTRIBUTES, logFile: join(cacheDirectory(), 'dev-server.log') });
  } catch (cause) {
    const { message } = cause as Error;
    const advice = /address already in use/i.test(message) ? '; choose others with --port and --ui-port, or use the server that is there with `runbook worker`' : '';
    throw new CommandError(advice === '' ? EXIT.failed : EXIT.usage, `${message}${advice}`, { cause });
  }
}
