import type { Client } from '@temporalio/client';
import { ApplicationFailure } from '@temporalio/common';
import type { Configuration, DatabaseSettings } from '../../contracts/configuration.ts';
import type { ResolvePassword } from '../postgres/source.ts';
import type { ProviderOf } from './provider.ts';

/** What activities on databases need. */
export interface DatabaseDependencies {
  configuration: Configuration;
  resolvePassword: ResolvePassword;
  /** Name of this host in task queues. */
  host?: string;
}

/** How fast an earlier drill of a target was. */
export interface PastDrill { bytes: number; seconds: number }

/** What restore tests need beside {@link DatabaseDependencies}: the server, whose clock and histories count, and earlier drills. */
export interface DrillDependencies extends DatabaseDependencies {
  client: Client;
  providerOf: ProviderOf;
  /** Earlier sound drills of a database, newest first. */
  pastDrills: (database: string) => Promise<PastDrill[]>;
  /** Environment of the application probe's command; the address of the copy is added. */
  probeEnvironment: Readonly<Record<string, string>>;
}

/** Throws `NOT_FOUND` for a name that is not in the configuration. */
export function settingsIn(configuration: Configuration, database: string): DatabaseSettings {
  const settings = Object.hasOwn(configuration.databases, database) ? configuration.databases[database] : undefined;
  if (!settings) throw ApplicationFailure.nonRetryable(`there is no database "${database}" in the configuration`, 'NOT_FOUND');
  return settings;
}
