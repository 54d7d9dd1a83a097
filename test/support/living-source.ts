import type { QueryResult } from 'pg';
import { compareSince, type CompareSinceOptions } from '../../activities/manifest/since/compare-since.ts';
import type { ComparisonResult, Manifest } from '../../contracts/manifest.ts';
import type { Server, Settings } from './postgres.ts';

/** What a source that lives on has, and its copy must have. */
export const OF_BOTH: Settings = { track_commit_timestamp: 'on', max_connections: 60, max_prepared_transactions: 20, wal_level: 'logical' };

/** What such a source has. Its copy takes its WAL out of its own directory, and by itself it changes nothing. */
export const OF_SOURCE: Settings = { wal_keep_size: '2GB', autovacuum: 'off', ...OF_BOTH };

/** Asks a server that may be another one by then. */
export function asking(server: () => Server): (sql: string, database?: string) => Promise<QueryResult> {
  return (sql, database = 'postgres') => server().withClient(database, (client) => client.query(sql));
}

/** Holds a copy against its manifest and its living source; `source` is null where that does not answer. */
export function compareLiving({ copy, source, manifest, database = 'postgres', lockTimeoutMs = 5_000 }: {
  copy: { config: CompareSinceOptions['connect'] }; source: { config: CompareSinceOptions['connect'] } | null; manifest: Manifest; database?: string; lockTimeoutMs?: number;
}): Promise<ComparisonResult> {
  return compareSince({
    connect: (name) => copy.config(name), source: source && { connect: (name) => source.config(name), limits: { statementTimeoutMs: 60_000, lockTimeoutMs } },
    manifest, database, connections: 2, depth: 'standard', applicationName: 'since', signal: new AbortController().signal,
  });
}
