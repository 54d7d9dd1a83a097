import type { Client } from 'pg';
import type { Manifest } from '../../contracts/manifest.ts';

/** More are counted, not listed. */
const LISTED = 20;

/** Every cluster has the templates from the beginning; every instance of RDS has its own database, which nobody else can make. */
const OF_OLD: readonly string[] = ['template0', 'template1', 'rdsadmin'];

/**
 * Databases that a recovered copy has and the manifest does not know, each as what is by design unverified: they were made while the
 * backup went on, and nobody could compare them. A database keeps its number when it is renamed; one of the manifest's is none of these.
 * @param copy a connection to any of its databases
 * @param manifest what `id` names; whatever it says itself that it did not read is not told twice
 * @param namesakes whether one that has only the name of the manifest's is told, which else the comparison does
 */
export async function madeSinceManifest(copy: Client, { id, manifest }: { id: string; manifest: Pick<Manifest, 'databases' | 'notVerified'> }, { namesakes }: { namesakes: boolean }): Promise<string[]> {
  const { rows } = await copy.query<{ oid: number; name: string }>('SELECT oid::int8::float8 AS oid, datname AS name FROM pg_database ORDER BY datname');
  const unread = new Set([...OF_OLD, ...manifest.notVerified.flatMap(({ database, what }) => (what === 'contents' && database !== null ? [database] : []))]);
  const isKnown = ({ oid, name }: { oid: number; name: string }) => manifest.databases.some((known) => (
    known.oid === oid || (known.database === name && (known.oid === undefined || !namesakes))));
  const made = rows.filter((row) => !unread.has(row.name) && !isKnown(row));
  const told = made.slice(0, LISTED).map(({ name }) => `database ${name}: made, or given this name, after manifest ${id}, and not compared; a newer manifest has it`);
  return made.length > LISTED ? [...told, `${made.length - LISTED} more databases: made after manifest ${id}, and not compared`] : told;
}
