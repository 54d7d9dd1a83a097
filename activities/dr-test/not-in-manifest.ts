import type { DatabaseSettings } from '../../contracts/configuration.ts';
import type { UsableManifest } from './provider.ts';

/**
 * Databases that the configuration names and the manifest was not taken of, each as what is left unverified: whoever names
 * one wants it back, and without its rows nothing says that it came.
 */
export function notInManifest({ connection, checks, probe, heartbeat }: Pick<DatabaseSettings, 'connection' | 'checks' | 'probe' | 'heartbeat'>, { id, manifest }: UsableManifest): string[] {
  const named: [database: string | undefined, by: string][] = [
    [connection.database, 'connection.database'],
    ...checks.map((check): [string | undefined, string] => [check.database, `check ${check.name}`]),
    [probe?.database, 'probe.database'],
    [heartbeat?.database, 'heartbeat.database'],
  ];
  const namers = new Map<string, string[]>();
  for (const [database, by] of named) if (database !== undefined) namers.set(database, [...namers.get(database) ?? [], by]);
  for (const { database } of manifest.databases) namers.delete(database);
  return [...namers].flatMap(([database, by]) => {
    const why = manifest.notVerified.find((entry) => entry.database === database && entry.what === 'contents');
    // The manifest says so itself, and what to do.
    if (why && !why.byDesign) return [];
    return [`database ${database} (${by.join(', ')}): manifest ${id} does not hold it, so nothing of it is compared${why ? ` (${why.why})` : '; take a backup, or a manifest: runbook start manifest'}`];
  });
}
