import type { Client } from 'pg';

/** The same client, on a server that does not have this segment. */
export function without(client: Client, segment: string): Client {
  return new Proxy(client, {
    get: (target, name) => (name !== 'query' ? Reflect.get(target, name) as unknown : (sql: string, values: unknown[] = []) =>
      target.query(sql, values.map((value) => (value === `pg_wal/${segment}` ? 'pg_wal/none' : value)))),
  });
}

/** The same client, which says when a piece of WAL is read through it. */
export function spying(client: Client, onRead: (values: readonly unknown[]) => void): Client {
  return new Proxy(client, {
    get: (target, name) => (name !== 'query' ? Reflect.get(target, name) as unknown : (sql: string, values?: unknown[]) => {
      if (sql.includes('pg_read_binary_file')) onRead(values ?? []);
      return target.query(sql, values);
    }),
  });
}
