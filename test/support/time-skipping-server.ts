import path from 'node:path';
import { TestWorkflowEnvironment } from '@temporalio/testing';
import { freeLoopbackPort } from '../../scripts/embedded/free-port.ts';
import { startSupervised, type SupervisedServer } from '../../scripts/embedded/supervised-server.ts';
import { resolveTimeSkippingServer } from '../../scripts/embedded/time-skipping.ts';

/** A server that skips time, and the SDK's environment on it. */
interface TimeSkippingServer { environment: TestWorkflowEnvironment; stop(): Promise<void> }

/** Another process can take a free port between the look and the start. What Java's last lines do not tell is tried again as well. */
const ATTEMPTS = 2;

const createTimeSkipping = (options: Parameters<typeof TestWorkflowEnvironment.createTimeSkipping>[0]) => TestWorkflowEnvironment.createTimeSkipping(options);

/**
 * A server that skips time; what it prints goes to a file in `root`. The SDK gives one that it starts itself five
 * seconds, in which Java does not start on a busy machine: it is told to start a program that does nothing, at a port where the server is.
 *
 * @param createEnvironment the SDK's; tests of this hand in another
 */
export async function startTimeSkippingServer(root: string, createEnvironment: typeof createTimeSkipping = createTimeSkipping): Promise<TimeSkippingServer> {
  const { path: program } = await resolveTimeSkippingServer({ log: console.log });
  const { port, server } = await startAtFreePort(program, path.join(root, 'server.log'));
  try {
    const environment = await createEnvironment({ server: { port, executable: { type: 'existing-path', path: '/bin/sleep' } } });
    return { environment, stop: () => environment.teardown().finally(() => server.stop()) };
  } catch (error) {
    await server.stop();
    throw error;
  }
}

async function startAtFreePort(program: string, logFile: string): Promise<{ port: number; server: SupervisedServer }> {
  for (let attempt = 1; ; attempt += 1) {
    const port = await freeLoopbackPort();
    try {
      return { port, server: await startSupervised([program, String(port)], { address: `127.0.0.1:${port}`, logFile, isReady: () => Promise.resolve() }) };
    } catch (error) {
      if (attempt === ATTEMPTS) throw error;
    }
  }
}
