import { accessSync, constants } from 'node:fs';
import type { ClientConnectConfig, loadClientConfigProfile, toClientOptions } from '@temporalio/envconfig';
import { environment } from './config-environment.ts';
import { ConfigurationError } from './configuration-error.ts';

/** What flags may say about the connection to Temporal; profiles and TEMPORAL_… variables fill in the rest. */
export interface TemporalFlags {
  address?: string | undefined;
  namespace?: string | undefined;
  profile?: string | undefined;
  apiKey?: string | undefined;
  tls?: boolean | undefined;
  /** Variables of profiles that flags stand for; they outrank those of the process. */
  environment?: Record<string, string> | undefined;
  /** Headers of each call, by their names in lower case; they outrank those of a profile. */
  metadata?: Record<string, string> | undefined;
  /** Variables of the process count for nothing; those that say which file and which profile is meant do. */
  withoutVariables?: boolean | undefined;
  /** Temporal's own configuration file counts for nothing. */
  withoutFile?: boolean | undefined;
  /** Who asks, in place of who we are. */
  identity?: string | undefined;
  /** How long to try to connect. */
  connectTimeoutMs?: number | undefined;
  /** The server was started by this process: it knows none of the namespaces and keys of profiles and variables. */
  own?: boolean | undefined;
}

/** How to reach Temporal: options for `Connection.connect` and `NativeConnection.connect`, and the namespace. */
export interface TemporalConnectOptions { address: string; namespace: string; connectionOptions: ClientConnectConfig['connectionOptions'] & { address: string } }

/**
 * Flags, over TEMPORAL_… variables, over the profile of Temporal's own configuration file, over localhost.
 *
 * @throws ConfigurationError when the profile cannot be read
 */
export async function temporalConnectOptions(flags: TemporalFlags = {}): Promise<TemporalConnectOptions> {
  const envconfig = await import('@temporalio/envconfig');
  let loaded: ClientConnectConfig;
  try {
    loaded = flags.own ? { connectionOptions: {} } : load(envconfig, flags);
  } catch (cause) {
    // The parser's further lines quote the file around the mistake, and that can be the line with a key.
    const [reason = ''] = (cause as Error).message.split('\n');
    const { line, column } = cause as { line?: unknown; column?: unknown };
    const where = typeof line === 'number' ? ` at line ${line}, column ${String(column)}` : '';
    const flagged = flags.environment === undefined ? '' : 'the flags of the command, or ';
    throw new ConfigurationError(`Temporal's connection profile cannot be used (${reason}${where}); correct ${flagged}its file, which TEMPORAL_CONFIG_FILE names or which is temporal.toml in Temporal's own directory`);
  }
  const namespace = flags.namespace ?? loaded.namespace ?? 'default';
  // As in Temporal's CLI, an address may name the namespace.
  const address = (flags.address ?? loaded.connectionOptions.address ?? 'localhost:7233').replaceAll('${namespace}', namespace);
  const connectionOptions = {
    ...loaded.connectionOptions, address,
    // As in Temporal's profiles, a key brings TLS with it, unless flags, variables or the profile say that there is none.
    ...(flags.apiKey === undefined ? {} : { apiKey: flags.apiKey, tls: loaded.connectionOptions.tls ?? true }),
    ...(flags.metadata === undefined ? {} : { metadata: { ...loaded.connectionOptions.metadata, ...flags.metadata } }),
    // A profile may bring certificates: `--tls` alone must not throw them away.
    ...(flags.tls === undefined || (flags.tls && loaded.connectionOptions.tls) ? {} : { tls: flags.tls }),
  };
  return { address, namespace, connectionOptions };
}

/** They say where a file is, and which profile of it is meant, and nothing of the connection itself. */
const WHERE = ['TEMPORAL_CONFIG_FILE', 'TEMPORAL_PROFILE', 'HOME', 'XDG_CONFIG_HOME', 'APPDATA'];

/** What is given as a file outranks what is given as it is, and the other way round: the loader would refuse both. */
export function withoutTwins(variables: Record<string, string>, given: Record<string, string> = {}): Record<string, string> {
  const twins = new Set(Object.keys(given).map((name) => name.replace(/_(PATH|DATA)$/, (_, end) => (end === 'PATH' ? '_DATA' : '_PATH'))));
  return Object.fromEntries(Object.entries(variables).filter(([name]) => !twins.has(name)));
}

/** What flags say outranks a profile that says the opposite, which would cost the certificates beside them, or send all in plain text. */
function tlsOf({ tls, environment: given }: TemporalFlags): { TEMPORAL_TLS?: string } {
  if (tls !== undefined) return { TEMPORAL_TLS: String(tls) };
  return asksForTls(given) ? { TEMPORAL_TLS: 'true' } : {};
}

/** Whether variables that flags stand for bring a certificate or a key, or say whose the server's is: without TLS, they would mean nothing. */
export function asksForTls(given: Record<string, string> = {}): boolean {
  return Object.keys(given).some((name) => name.startsWith('TEMPORAL_TLS_'));
}

interface Loader { loadClientConfigProfile: typeof loadClientConfigProfile; toClientOptions: typeof toClientOptions }

function load(loader: Loader, flags: TemporalFlags): ClientConnectConfig {
  const file = flags.environment?.['TEMPORAL_CONFIG_FILE'];
  // The loader takes a file that is not there for one that says nothing: of one that was asked for by name, that would be another server.
  if (file !== undefined && !flags.withoutFile) accessSync(file, constants.R_OK);
  const variables = Object.entries(environment).filter((entry): entry is [string, string] => entry[1] !== undefined && (!flags.withoutVariables || WHERE.includes(entry[0])));
  const profile = loader.loadClientConfigProfile({
    ...(flags.profile === undefined ? {} : { profile: flags.profile }),
    ...(flags.withoutFile ? { disableFile: true } : {}),
    overrideEnvVars: { ...withoutTwins(Object.fromEntries(variables), flags.environment), ...flags.environment, ...tlsOf(flags) },
  });
  // The SDK would leave out the one that is there, and the server would see nobody.
  const { disabled, clientCert, clientKey } = profile.tls ?? {};
  if (!disabled && (clientCert === undefined) !== (clientKey === undefined)) throw new Error(`a client has a certificate and its key, and ${clientKey ? 'the certificate' : 'the key'} is missing`);
  return loader.toClientOptions(profile);
}
