import { loadConfiguration } from '../../workers/config.ts';
import type { runWorker } from '../../workers/main.ts';
import { isUnanswered, START_OR_NAME, withClient } from './connect.ts';
import { CommandError, EXIT, type ExitCode } from './exit.ts';
import { withNamedEnvironment } from './named-environment.ts';
import type { TemporalOptions } from './options.ts';
import { note } from './output.ts';

/** `runbook worker`: runs workflows, and activities on this host, until it is told to stop. */
export async function worker(options: TemporalOptions): Promise<ExitCode> {
  const { config, ...given } = options;
  const flags = await withNamedEnvironment(given);
  // Workers that were created and never ran keep a process alive: a mistake is told before there are any.
  await loadConfiguration(config);
  const run = await loadWorker();
  try {
    await run({ config, flags, log: note });
  } catch (error) {
    const isSilent = isUnanswered(error) || (error instanceof Error && error.name === 'TransportError');
    // The native client says no more than that it failed: ours tells a namespace that is not there from a server that is not.
    if (isSilent) await withClient(flags, ({ client, namespace }) => client.workflowService.describeNamespace({ namespace }));
    if (isSilent) throw new CommandError(EXIT.unreachable, `no Temporal server answers${flags.address === undefined ? '' : ` at ${flags.address}`}: ${START_OR_NAME}`, { cause: error });
    throw error;
  }
  return EXIT.done;
}

/** The worker with the SDK's native core takes long to load: only the commands that run one do it. */
export async function loadWorker(): Promise<typeof runWorker> {
  return (await import('../../workers/main.ts')).runWorker;
}
