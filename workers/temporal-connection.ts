import type { ClientConnectConfig } from '@temporalio/envconfig';
import { environment } from './config-environment.ts';
import { ConfigurationError } from './configuration-error.ts';

/** What flags may say about the connection to Temporal; profiles and TEMPORAL_… variables fill in the rest, unless the server is our `own`: started by this process, it knows none of their namespaces and keys. */
export interface TemporalFlags { address?: string | undefined; namespace?: string | undefined; profile?: string | undefined; apiKey?: string | undefined; tls?: boolean | undefined; environment?: Record<string, string> | undefined; own?: boolean | undefined }

/** How to reach Temporal: options for `Connection.connect` and `NativeConnection.connect`, and the namespace. */
export interface TemporalConnectOptions { address: string; namespace: string; connectionOptions: ClientConnectConfig['connectionOptions'] & { address: string } }

/**
 * Flags, over TEMPORAL_… variables, over the profile of Temporal's own configuration file, over localhost.
 *
 * @throws ConfigurationError when the profile cannot be read
 */
export async function temporalConnectOptions(flags: TemporalFlags = {}): Promise<TemporalConnectOptions> {
  const { loadClientConnectConfig } = await import('@temporalio/envconfig');
  let loaded: ClientConnectConfig;
  try {
    loaded = flags.own ? { connectionOptions: {} } : loadClientConnectConfig({
      ...(flags.profile === undefined ? {} : { profile: flags.profile }),
      ...(flags.environment === undefined ? {} : { overrideEnvVars: { ...definedVariables(), ...flags.environment } }),
    });
  } catch (cause) {
    // The parser's further lines quote the file around the mistake, and that can be the line with a key.
    const [reason = ''] = (cause as Error).message.split('\n');
    const { line, column } = cause as { line?: unknown; column?: unknown };
    const where = typeof line === 'number' ? ` at line ${line}, column ${String(column)}` : '';
    throw new ConfigurationError(`Temporal's connection profile cannot be used (${reason}${where}); correct its file, which TEMPORAL_CONFIG_FILE names or which is temporal.toml in Temporal's own directory`);
  }
  const address = flags.address ?? loaded.connectionOptions.address ?? 'localhost:7233';
  const connectionOptions = {
    ...loaded.connectionOptions, address,
    ...(flags.apiKey === undefined ? {} : { apiKey: flags.apiKey }),
    // A profile may bring certificates: `--tls` alone must not throw them away.
    ...(flags.tls === undefined || (flags.tls && loaded.connectionOptions.tls) ? {} : { tls: flags.tls }),
  };
  return { address, namespace: flags.namespace ?? loaded.namespace ?? 'default', connectionOptions };
}

function definedVariables(): Record<string, string> {
  return Object.fromEntries(Object.entries(environment).filter((entry): entry is [string, string] => entry[1] !== undefined));
}
