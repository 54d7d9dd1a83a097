import { access, readFile, stat } from 'node:fs/promises';
import { hostname } from 'node:os';
import { dirname, resolve } from 'node:path';
import type { ClientConnectConfig } from '@temporalio/envconfig';
import { LineCounter, parseDocument } from 'yaml';
import { configurationSchema, type Configuration, type ConnectionSettings } from '../contracts/configuration.ts';
import { HOST_NAME } from '../contracts/search-attributes.ts';
import { ConfigurationError, describeIssues } from './config-errors.ts';
import { resolvePaths } from './config-paths.ts';

export { ConfigurationError } from './config-errors.ts';

/** A configuration that is valid, where it came from, and what is unwise about it. */
export interface LoadedConfiguration {
  configuration: Configuration;
  /** Absolute path. */
  file: string;
  /** Sentences for people; the configuration can be used all the same. */
  warnings: string[];
}

const DEFAULT_FILE = 'runbooks.yaml';

/**
 * Loads `file`, else what RUNBOOKS_CONFIG names, else `./runbooks.yaml`. Relative paths in it count from its directory.
 *
 * @throws ConfigurationError with all errors at once, each with file, line and column
 */
export async function loadConfiguration(file?: string): Promise<LoadedConfiguration> {
  const path = configurationFile(file);
  const text = await readFile(path, 'utf8').catch((cause: NodeJS.ErrnoException) => {
    const advice = 'name it with --config or RUNBOOKS_CONFIG, or write a first one with `runbook init CONNECTION_STRING`';
    throw new ConfigurationError(cause.code === 'ENOENT' ? `there is no configuration file ${path}; ${advice}` : `${path} cannot be read (${cause.code ?? cause.message}); ${advice}`, { cause });
  });
  const configuration = resolvePaths(parseConfiguration(text, path), dirname(path));
  return { configuration, file: path, warnings: await warningsOf(configuration) };
}

/**
 * Name of this host in task queues and identities: RUNBOOKS_HOST, else what the host calls itself. Whatever runs on this
 * host's files must use the same name, so a host that is renamed or that is a container wants it set.
 *
 * @throws ConfigurationError when RUNBOOKS_HOST is no name
 */
export function hostName(): string {
  const name = process.env['RUNBOOKS_HOST'] || hostname();
  if (!HOST_NAME.test(name)) throw new ConfigurationError(`RUNBOOKS_HOST is "${name}"; use letters, digits, dots, _ and -, as in a host's name`);
  return name;
}

/** Which file {@link loadConfiguration} reads. */
export function configurationFile(file?: string): string {
  return resolve(file ?? (process.env['RUNBOOKS_CONFIG'] || DEFAULT_FILE));
}

/**
 * Parses and validates; paths stay as they are written.
 *
 * @throws ConfigurationError with all errors at once
 */
export function parseConfiguration(text: string, file: string): Configuration {
  const lines = new LineCounter();
  const document = parseDocument(text, { lineCounter: lines, prettyErrors: false });
  const broken = document.errors.map((error) => {
    const { line, col } = lines.linePos(error.pos[0]);
    return `${file}:${line}:${col}: this is not YAML: ${error.message}`;
  });
  if (broken.length > 0) throw new ConfigurationError(broken.join('\n'));
  const parsed = configurationSchema.safeParse(document.toJS() ?? {});
  if (!parsed.success) throw new ConfigurationError(describeIssues(parsed.error.issues, document, lines, file).join('\n'));
  return parsed.data;
}

async function warningsOf({ databases }: Configuration): Promise<string[]> {
  const warnings = await Promise.all(Object.entries(databases).map(async ([name, { connection }]) => {
    const { passwordFile } = connection;
    if (passwordFile === undefined) return undefined;
    if (!(await access(passwordFile).then(() => true, () => false))) return `databases.${name}.connection.passwordFile: ${passwordFile} cannot be read; put the password there`;
    const { mode } = await stat(passwordFile);
    return (mode & 0o004) === 0 ? undefined : `databases.${name}.connection.passwordFile: everybody on this host can read ${passwordFile}; run chmod 600 ${passwordFile}`;
  }));
  return warnings.filter((warning) => warning !== undefined);
}

/**
 * The password that a connection refers to; undefined when it refers to none. The value goes to the driver and nowhere else.
 *
 * @throws ConfigurationError when the file cannot be read or the variable is not set
 */
export async function resolvePassword({ passwordFile, passwordEnv }: Pick<ConnectionSettings, 'passwordFile' | 'passwordEnv'>): Promise<string | undefined> {
  if (passwordFile !== undefined) {
    const text = await readFile(passwordFile, 'utf8').catch((cause: NodeJS.ErrnoException) => {
      throw new ConfigurationError(`the password file ${passwordFile} cannot be read (${cause.code ?? cause.message}); create it, readable by this user only`, { cause });
    });
    // Editors end a file with a newline that is no part of the password.
    const password = text.replace(/\r?\n$/, '');
    if (password === '') throw new ConfigurationError(`the password file ${passwordFile} is empty; put the password there`);
    return password;
  }
  if (passwordEnv === undefined) return undefined;
  const password = process.env[passwordEnv];
  if (!password) throw new ConfigurationError(`the environment variable ${passwordEnv}, which the configuration names as password, is not set; set it for this process`);
  return password;
}

/** What flags may say about the connection to Temporal; profiles and TEMPORAL_… variables fill in the rest. */
export interface TemporalFlags { address?: string | undefined; namespace?: string | undefined; profile?: string | undefined; apiKey?: string | undefined; tls?: boolean | undefined; environment?: Record<string, string> | undefined }

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
    loaded = loadClientConnectConfig({
      ...(flags.profile === undefined ? {} : { profile: flags.profile }),
      ...(flags.environment === undefined ? {} : { overrideEnvVars: { ...definedVariables(), ...flags.environment } }),
    });
  } catch (cause) {
    throw new ConfigurationError(`Temporal's connection profile cannot be used (${(cause as Error).message}); correct its file, which TEMPORAL_CONFIG_FILE names or which is temporal.toml in Temporal's own directory`, { cause });
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

/** What of our environment the application probe's command gets: enough to find programs, and no secret. */
export function probeEnvironment(): Record<string, string> {
  return Object.fromEntries(['PATH', 'HOME'].map((name) => [name, process.env[name] ?? '']));
}

function definedVariables(): Record<string, string> {
  return Object.fromEntries(Object.entries(process.env).filter((entry): entry is [string, string] => entry[1] !== undefined));
}
