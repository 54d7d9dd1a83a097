import type { Client } from 'pg';
import type { Point } from './provider.ts';

/** Asks a server which cluster it is, as backups and WAL name it. */
export async function systemIdentifierOf(client: Client): Promise<string> {
  const { rows: [row] } = await client.query<{ id: string }>('SELECT system_identifier::text AS id FROM pg_control_system()');
  if (!row) throw new Error('the source did not say which cluster it is');
  return row.id;
}

/**
 * Why a living source says nothing of a recovery point, or null: a repository that was copied into another target, that two
 * clusters share, or that is from before pg_upgrade or initdb, holds another cluster's. It may restore, and is none of the source's.
 */
export function otherCluster({ id, systemIdentifier }: Pick<Point, 'id' | 'systemIdentifier'>, ofSource: string): string | null {
  if (systemIdentifier === null || systemIdentifier === ofSource) return null;
  return `recovery point ${id} is of cluster ${systemIdentifier}, and the source is cluster ${ofSource}`;
}

/** What to do about that. */
export const OTHER_CLUSTER_REMEDY = 'correct connection or provider.repository, or, where the cluster was made anew (pg_upgrade, initdb), take a backup of it';

/** Why a restore is not proven then, from {@link otherCluster}: what it restores may be sound, and is no proof that the source could be restored. */
export function provesNothing(other: string): string {
  return `${other}: nothing here says that the source can be restored; ${OTHER_CLUSTER_REMEDY}`;
}
