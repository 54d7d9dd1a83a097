import { Client, escapeIdentifier, escapeLiteral, type ClientConfig } from 'pg';

const READ_ONLY = 'default_transaction_read_only';

/** What the window does to a database. Each can run twice: it sets what is to be, whatever is there. */
export function createWindowActivities(connect: (database: string) => ClientConfig) {
  const run = async <T extends object>(database: string, sql: string, values: unknown[] = []): Promise<T[]> => {
    // The window binds every new session, and whoever opens it must be able to close it.
    const client = new Client({ ...connect(database), options: `-c ${READ_ONLY}=off` });
    await client.connect();
    return client.query<T>(sql, values).then(({ rows }) => rows).finally(() => client.end());
  };
  const alter = async (database: string, what: string): Promise<void> => void await run(database, `ALTER DATABASE ${escapeIdentifier(database)} ${what}`);
  return {
    /** What the database itself is set to; `readOnly`: null where nothing is, and what is set elsewhere counts. */
    async readSettings({ database }: { database: string }): Promise<{ limit: number; readOnly: string | null }> {
      const [row] = await run<{ limit: number; set: string[] | null }>(database, 'SELECT datconnlimit AS limit, setconfig AS set FROM pg_database LEFT JOIN pg_db_role_setting ON setdatabase = pg_database.oid AND setrole = 0 WHERE datname = $1', [database]);
      return { limit: row?.limit ?? -1, readOnly: row?.set?.find((one) => one.startsWith(`${READ_ONLY}=`))?.slice(READ_ONLY.length + 1) ?? null };
    },
    limitConnections: ({ database, limit }: { database: string; limit: number }) => alter(database, `CONNECTION LIMIT ${Math.trunc(limit)}`),
    setReadOnly: ({ database, readOnly }: { database: string; readOnly: string | null }) => alter(database, readOnly === null ? `RESET ${READ_ONLY}` : `SET ${READ_ONLY} = ${escapeLiteral(readOnly)}`),
  };
}
export type WindowActivities = ReturnType<typeof createWindowActivities>;
