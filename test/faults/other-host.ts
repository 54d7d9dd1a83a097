/** A worker that poses as another host, so that a run goes on when the host of its drill is lost: `node other-host.js NAME`. */
import { DefaultLogger, NativeConnection, Runtime } from '@temporalio/worker';
import { loadConfiguration, probeEnvironment, resolvePassword, resolveSecret } from '../../workers/config.ts';
import { createWorkers } from '../../workers/create-workers.ts';
import { registerSearchAttributes } from '../../workers/search-attributes.ts';
import { temporalConnectOptions } from '../../workers/temporal-connection.ts';

const host = process.argv[2] ?? 'other-host';
const { configuration } = await loadConfiguration();
Runtime.install({ logger: new DefaultLogger('ERROR'), shutdownSignals: ['SIGINT', 'SIGTERM'] });
const { namespace, connectionOptions } = await temporalConnectOptions();
const connection = await NativeConnection.connect(connectionOptions);
const searchAttributes = await registerSearchAttributes(connection, namespace, () => undefined);
const { workers, loaded } = await createWorkers({
  connection, namespace, host,
  prepare: async () => ({ configuration, codeVersion: 'other host', searchAttributes, resolvePassword, resolveSecret, probeEnvironment: probeEnvironment() }),
});
await loaded;
process.stdout.write(`worker ready: ${host}\n`);
await Promise.all(workers.map((worker) => worker.run()));
await connection.close();
