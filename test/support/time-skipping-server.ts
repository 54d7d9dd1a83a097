import path from 'node:path';
import { TestWorkflowEnvironment } from '@temporalio/testing';
import { freeLoopbackPort } from '../../scripts/embedded/free-port.ts';
import { startSupervised } from '../../scripts/embedded/supervised-server.ts';
import { resolveTimeSkippingServer } from '../../scripts/embedded/time-skipping.ts';

/**
 * A server that skips time; what it prints goes to a file in `root`. The SDK gives one that it starts itself five
 * seconds, in which Java does not start on a busy machine: it is told to start a program that does nothing, at a port where the server is.
 */
export async function startTimeSkippingServer(root: string): Promise<{ environment: TestWorkflowEnvironment; stop(): Promise<void> }> {
  const program = await resolveTimeSkippingServer({ log: console.log });
  const port = await freeLoopbackPort();
  const server = await startSupervised([program.path, String(port)], { address: `127.0.0.1:${port}`, logFile: path.join(root, 'server.log'), isReady: () => Promise.resolve() });
  const environment = await TestWorkflowEnvironment.createTimeSkipping({ server: { port, executable: { type: 'existing-path', path: '/bin/sleep' } } });
  return {
    environment,
    async stop() {
      await environment.teardown();
      await server.stop();
    },
  };
}
