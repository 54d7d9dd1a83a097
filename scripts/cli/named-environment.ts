import { readFile } from 'node:fs/promises';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { asksForTls, withoutTwins, type TemporalFlags } from '../../workers/temporal-connection.ts';
import { CommandError, EXIT } from './exit.ts';
import type { NamedEnvironment } from './options.ts';
import { connectionOf, defined, TEMPORAL_FLAGS } from './temporal-flags.ts';

/** Flags as a command was given them. */
export type GivenFlags = TemporalFlags & NamedEnvironment;

/**
 * The flags with what an environment of Temporal's CLI (`--env`, and `--env-file` where it is kept) says of the
 * connection; flags that were given outrank it, and it outranks profiles and variables. Whatever else it says is for
 * commands of Temporal's own. `temporal env` is deprecated in favour of profiles: without either flag, nothing is read.
 *
 * @throws CommandError where it cannot be read
 */
export async function withNamedEnvironment({ env, envFile, ...flags }: GivenFlags): Promise<TemporalFlags> {
  if (env === undefined && envFile === undefined) return flags;
  const name = env ?? 'default';
  const file = envFile ?? join(homedir(), '.config', 'temporalio', 'temporal.yaml');
  const said = await environmentsIn(file, envFile !== undefined);
  const found = Object.hasOwn(said, name) ? said[name] : undefined;
  if (found === undefined && name !== 'default') throw new CommandError(EXIT.usage, `there is no environment "${name}" in ${file}; \`temporal env list\` lists them`);
  if (found !== undefined && (typeof found !== 'object' || found === null || Array.isArray(found))) throw new CommandError(EXIT.usage, `the environment "${name}" in ${file} has no flags; set some with \`temporal env set\`, or leave it out`);
  const kept = outranked(connectionOf((flag) => valueOf(flag, found ?? {})), flags);
  return { ...kept, ...defined(flags), ...merged('environment', kept, flags), ...merged('metadata', kept, flags) };
}

type Environments = Record<string, Record<string, unknown> | null>;

async function environmentsIn(file: string, isAskedFor: boolean): Promise<Environments> {
  const { parse, YAMLParseError } = await import('yaml');
  try {
    const document = parse(await readFile(file, 'utf8')) as { env?: Environments | null } | null;
    return document?.env ?? {};
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code === 'ENOENT' && !isAskedFor) return {};
    // What the parser says quotes the file, and that can be the line with a key.
    const reason = cause instanceof YAMLParseError ? `it is no YAML at line ${cause.linePos?.[0].line ?? '?'}` : (cause as NodeJS.ErrnoException).code ?? 'it cannot be opened';
    throw new CommandError(EXIT.usage, `the environments of Temporal's CLI cannot be read from ${file} (${reason})`);
  }
}

/** As if it had been given as a flag: the file has everything as text. */
function valueOf(flag: string, environment: Record<string, unknown>): unknown {
  // An environment does not name another one.
  if (!Object.hasOwn(environment, flag) || flag === 'env' || flag === 'env-file') return undefined;
  const text = String(environment[flag]);
  switch (TEMPORAL_FLAGS.find(({ name }) => name === flag)?.kind) {
    case 'switch': return text === 'true';
    case 'list': return [text];
    default: return text;
  }
}

/** What an environment says, less that whose opposite flags say: a certificate in another way, or that there is no TLS. */
function outranked({ tls, environment, ...kept }: TemporalFlags, flags: TemporalFlags): TemporalFlags {
  return defined({
    ...kept, tls: tls === false && asksForTls(flags.environment) ? undefined : tls,
    environment: environment && withoutTwins(environment, flags.environment),
  });
}

function merged(name: 'environment' | 'metadata', kept: TemporalFlags, flags: TemporalFlags): TemporalFlags {
  return kept[name] === undefined && flags[name] === undefined ? {} : { [name]: { ...kept[name], ...flags[name] } };
}
