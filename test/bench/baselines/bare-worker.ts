/** The least that a worker is: the SDK, our workflow bundle and an activity that does nothing. Nobody starts one faster. */
import { NativeConnection, Runtime, Worker, DefaultLogger } from '@temporalio/worker';
import { fileURLToPath } from 'node:url';

Runtime.install({ logger: new DefaultLogger('ERROR'), shutdownSignals: ['SIGTERM'] });
const connection = await NativeConnection.connect({ address: process.env['TEMPORAL_ADDRESS'] as string });
const workflowBundle = { codePath: fileURLToPath(new URL('../../../workflow-bundle.js', import.meta.url)) };
const worker = await Worker.create({ connection, taskQueue: 'bare', workflowBundle, activities: { nothing: async () => undefined } });
const running = worker.run();
process.stdout.write('worker ready\n');
await running;
await connection.close();
