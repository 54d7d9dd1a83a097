import { Client } from 'pg';
import type { ConnectionConfig } from './production.ts';
import { coldSchema, schemaTables } from './schema-tables.ts';
import { schemaRoles } from './schema-rules.ts';

/** Where the shop's tables go, and for which months there are partitions. */
export interface CreateSchemaInput {
  /** A superuser's way into an empty database. */
  config: ConnectionConfig;
  /** An empty directory that the server's user owns, outside the data directory. */
  tablespaceDirectory: string;
  /** First day (UTC) of the newest full month of orders; partitions go from 12 months before it to 2 after it. */
  anchor: Date;
}

/** Makes the roles, the tablespace, the tables and the monthly partitions of the shop: all that its rows need. */
export async function createSchema({ config, tablespaceDirectory, anchor }: CreateSchemaInput): Promise<void> {
  const client = new Client(config);
  await client.connect();
  try {
    await client.query(schemaRoles);
    await client.query(`CREATE TABLESPACE shop_archive OWNER shop_owner LOCATION ${client.escapeLiteral(tablespaceDirectory)}`);
    await client.query(schemaTables);
    await client.query(coldSchema);
    for (let month = -12; month <= 2; month += 1) {
      const from = monthStart(anchor, month);
      const name = `order_${from.slice(0, 7).replace('-', '_')}`;
      await client.query(
        `CREATE TABLE sales.${client.escapeIdentifier(name)} PARTITION OF sales."order"
           FOR VALUES FROM (${client.escapeLiteral(from)}) TO (${client.escapeLiteral(monthStart(anchor, month + 1))})`,
      );
    }
    await client.query('CREATE TABLE sales.order_other PARTITION OF sales."order" DEFAULT');
  } finally {
    await client.end();
  }
}

/** RFC 3339 start of the month that many months after the anchor's. */
export function monthStart(anchor: Date, months: number): string {
  return new Date(Date.UTC(anchor.getUTCFullYear(), anchor.getUTCMonth() + months, 1)).toISOString();
}
