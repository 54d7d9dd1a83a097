import { homedir } from 'node:os';
import { isAbsolute, join, resolve } from 'node:path';
import type { Configuration, DatabaseSettings } from '../contracts/configuration.ts';
import type { ChannelSettings } from '../contracts/notification.ts';

/** The configuration with every relative path resolved against the directory of its file, and `~/` against the home. */
export function resolvePaths(configuration: Configuration, directory: string): Configuration {
  const at = (path: string) => (path === '~' || path.startsWith('~/') ? join(homedir(), path.slice(1)) : resolve(directory, path));
  const { postgres, evidence, approvals, drills, notifications, databases } = configuration;
  return {
    ...configuration,
    evidence: { ...evidence, directory: at(evidence.directory), copies: evidence.copies.map((copy) => ('directory' in copy ? { directory: at(copy.directory) } : copy)), ...(evidence.signingKey === undefined ? {} : { signingKey: at(evidence.signingKey) }) },
    approvals: approvals.allowedSigners === undefined ? approvals : { allowedSigners: at(approvals.allowedSigners) },
    drills: { ...drills, directory: at(drills.directory) },
    postgres: postgres.binDirectory === undefined ? postgres : { ...postgres, binDirectory: at(postgres.binDirectory) },
    notifications: { ...notifications, channels: Object.fromEntries(Object.entries(notifications.channels).map(([name, settings]) => [name, resolveChannel(settings, at)])) },
    databases: Object.fromEntries(Object.entries(databases).map(([name, settings]) => [name, resolveDatabase(settings, at)])),
  };
}

function resolveChannel(settings: ChannelSettings, at: (path: string) => string): ChannelSettings {
  const urlFile = settings.urlFile === undefined ? {} : { urlFile: at(settings.urlFile) };
  if (settings.kind === 'slack' || settings.secretFile === undefined) return { ...settings, ...urlFile };
  return { ...settings, ...urlFile, secretFile: at(settings.secretFile) };
}

function resolveDatabase(settings: DatabaseSettings, at: (path: string) => string): DatabaseSettings {
  const { connection, provider, probe } = settings;
  const resolved: DatabaseSettings = {
    ...settings,
    connection: connection.passwordFile === undefined ? connection : { ...connection, passwordFile: at(connection.passwordFile) },
    provider: provider.kind === 'archive'
      ? { ...provider, repository: at(provider.repository), walDirectory: at(provider.walDirectory) }
      : { ...provider, repository: at(provider.repository), drill: { ...provider.drill, passwordKeyFile: at(provider.drill.passwordKeyFile) } },
  };
  if (probe && 'command' in probe) {
    const [program, ...rest] = probe.command;
    // A bare name is looked up on PATH; `./probe.sh` lies beside the file.
    const isRelative = program !== undefined && program.includes('/') && !isAbsolute(program);
    if (isRelative) resolved.probe = { ...probe, command: [at(program), ...rest] };
  }
  return resolved;
}
