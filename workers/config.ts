import { access, readFile, stat } from 'node:fs/promises';
import { dirname, resolve } from 'node:path';
import { LineCounter, parseDocument, type Document } from 'yaml';
import { signer } from '../activities/evidence/chain/sign.ts';
import type { SecretSource } from '../activities/notify/channel-access.ts';
import type { Signature } from '../contracts/chain.ts';
import { configurationSchema, type Configuration, type ConnectionSettings } from '../contracts/configuration.ts';
import { environment } from './config-environment.ts';
import { describeIssues, numbersReadOtherwise, unknownGates, unresolvedAliases } from './config-errors.ts';
import { resolvePaths } from './config-paths.ts';
import { ConfigurationError } from './configuration-error.ts';

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

/** Which file {@link loadConfiguration} reads. */
export function configurationFile(file?: string): string {
  return resolve(file ?? (environment['RUNBOOKS_CONFIG'] || DEFAULT_FILE));
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
  broken.push(...unresolvedAliases(document).map(({ name, offset }) => {
    const { line, col } = lines.linePos(offset);
    return `${file}:${line}:${col}: *${name} stands for nothing: there is no &${name} before it; put the text in quotes if it only begins with an asterisk`;
  }));
  if (broken.length > 0) throw new ConfigurationError(broken.join('\n'));
  const value = valueOf(document, file) ?? {};
  const parsed = configurationSchema.safeParse(value);
  const issues = [...(parsed.success ? [] : parsed.error.issues), ...unknownGates(value), ...numbersReadOtherwise(value, document)];
  if (!parsed.success || issues.length > 0) throw new ConfigurationError(describeIssues(issues, document, lines, file).join('\n'));
  return parsed.data;
}

function valueOf(document: Document, file: string): unknown {
  try {
    return document.toJS();
  } catch (cause) {
    // For instance aliases of aliases, which would grow without end.
    throw new ConfigurationError(`${file}: this is not YAML that can be read: ${(cause as Error).message}`, { cause });
  }
}

async function warningsOf(configuration: Configuration): Promise<string[]> {
  const warnings = await Promise.all(filesOfSecrets(configuration).map(async ({ setting, file, isAskedForLater }) => {
    if (!(await access(file).then(() => true, () => false))) return isAskedForLater ? undefined : `${setting}: ${file} cannot be read; put the password there`;
    const { mode } = await stat(file);
    return (mode & 0o004) === 0 ? undefined : `${setting}: everybody on this host can read ${file}; run chmod 600 ${file}`;
  }));
  return warnings.filter((warning) => warning !== undefined);
}

/** `isAskedForLater`: whoever needs it says what is missing, and does not repeat what may be an address put in the wrong place. */
function filesOfSecrets({ databases, notifications: { channels } }: Configuration): { setting: string; file: string; isAskedForLater: boolean }[] {
  const named = (setting: string, file: string | undefined, isAskedForLater: boolean) => (file === undefined ? [] : [{ setting, file, isAskedForLater }]);
  return [
    ...Object.entries(databases).flatMap(([name, { connection }]) => named(`databases.${name}.connection.passwordFile`, connection.passwordFile, false)),
    ...Object.entries(channels).flatMap(([name, channel]) => [
      ...named(`notifications.channels.${name}.urlFile`, channel.urlFile, true),
      ...(channel.kind === 'webhook' ? named(`notifications.channels.${name}.secretFile`, channel.secretFile, true) : []),
    ]),
  ];
}

/**
 * The password that a connection refers to; undefined when it refers to none. The value goes to the driver and nowhere else.
 *
 * @throws ConfigurationError when the file cannot be read or the variable is not set
 */
export async function resolvePassword({ passwordFile, passwordEnv }: Pick<ConnectionSettings, 'passwordFile' | 'passwordEnv'>): Promise<string | undefined> {
  return passwordFile === undefined && passwordEnv === undefined ? undefined : readSecret({ file: passwordFile, env: passwordEnv }, 'password');
}

/**
 * Address or secret of a channel. It goes to the channel and nowhere else.
 *
 * @throws ConfigurationError when the file cannot be read or the variable is not set
 */
export function resolveSecret(source: SecretSource): Promise<string> {
  return readSecret(source, 'secret');
}

async function readSecret({ file, env }: SecretSource, what: string): Promise<string> {
  if (file !== undefined) {
    const text = await readFile(file, 'utf8').catch((cause: NodeJS.ErrnoException) => {
      throw new ConfigurationError(`the ${what} file ${file} cannot be read (${cause.code ?? cause.message}); create it, readable by this user only`, { cause });
    });
    // Editors end a file with a newline that is no part of the secret.
    const secret = text.replace(/\r?\n$/, '');
    if (secret === '') throw new ConfigurationError(`the ${what} file ${file} is empty; put the ${what} there`);
    return secret;
  }
  const secret = env === undefined ? undefined : environment[env];
  if (!secret) throw new ConfigurationError(`the environment variable ${env}, which the configuration names as ${what}, is not set; set it for this process`);
  return secret;
}

/**
 * What signs evidence with the key that the configuration names; undefined when it names none.
 *
 * @throws ConfigurationError when there is no such key
 */
export async function evidenceSigner({ evidence: { signingKey } }: Configuration): Promise<((head: string) => Signature) | undefined> {
  if (signingKey === undefined) return undefined;
  const pem = await readFile(signingKey, 'utf8').catch((cause: NodeJS.ErrnoException) => {
    throw new ConfigurationError(`evidence.signingKey: ${signingKey} cannot be read (${cause.code ?? cause.message}); create it, readable by this user only`, { cause });
  });
  try {
    return signer(pem);
  } catch (cause) {
    throw new ConfigurationError(`evidence.signingKey: ${signingKey}: ${(cause as Error).message}`, { cause });
  }
}

/** What of our environment the application probe's command gets: enough to find programs, and no secret. */
export function probeEnvironment(): Record<string, string> {
  return Object.fromEntries(['PATH', 'HOME'].map((name) => [name, environment[name] ?? '']));
}
