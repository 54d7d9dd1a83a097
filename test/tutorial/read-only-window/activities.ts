import { Client, escapeIdentifier, type ClientConfig } from 'pg';

/** What the window does to a database. Each can run twice: it sets what is to be, whatever is there. */
export function createWindowActivities(connect: (database: string) => ClientConfig) {
  const run = async <T extends object>(database: string, sql: string, values: unknown[] = []): Promise<T[]> => {
    // The window binds every new session, and whoever opens it must be able to close it.
    const client = new Client({ ...connect(database), options: '-c default_transaction_read_only=off' });
    await client.connect();
    return client.query<T>(sql, values).then(({ rows }) => rows).finally(() => client.end());
  };
  const alter = async (database: string, what: string): Promise<void> => void await run(database, `ALTER DATABASE ${escapeIdentifier(database)} ${what}`);
  return {
    async readLimit({ database }: { database: string }): Promise<number> {
      const [row] = await run<{ limit: number }>(database, 'SELECT datconnlimit AS limit FROM pg_database WHERE datname = $1', [database]);
      return row?.limit ?? -1;
    },
    limitConnections: ({ database, limit }: { database: string; limit: number }) => alter(database, `CONNECTION LIMIT ${Math.trunc(limit)}`),
    forbidWrites: ({ database }: { database: string }) => alter(database, 'SET default_transaction_read_only = on'),
    allowWrites: ({ database }: { database: string }) => alter(database, 'RESET default_transaction_read_only'),
  };
}
export type WindowActivities = ReturnType<typeof createWindowActivities>;
