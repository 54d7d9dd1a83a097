import type { Client } from 'pg';
import { drillClientConfig } from '../../activities/drill/client.ts';
import type { Drill } from '../../activities/drill/drill.ts';
import { type GuardedConfig, withClient as withOurClient } from '../../activities/postgres/source.ts';

/** As `withClient`, for SQL that a test writes as people do: names mean what the database says. */
export function withClient<T>(config: GuardedConfig, work: (client: Client) => Promise<T>, signal?: AbortSignal): Promise<T> {
  return withOurClient({ ...config, searchPath: 'ofDatabase' }, work, signal);
}

/** As `withDrillClient`, in the same way. */
export function withDrillClient<T>(drill: Drill, database: string, work: (client: Client) => Promise<T>): Promise<T> {
  return withClient(drillClientConfig(drill, { database }), work);
}
