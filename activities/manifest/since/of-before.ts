import type { Client } from 'pg';
import type { DatabaseManifest } from '../../../contracts/manifest.ts';
import { numberingOf } from '../../postgres/numbering.ts';

/**
 * Whether a copy is of before a manifest of its source, which then says nothing of it: it has not come so far by its transactions, or
 * by the WAL that it replayed before it was opened. Transactions of its own it counts on, so that these alone may not tell; and what
 * it replayed a server forgets when it is stopped.
 */
export async function isOfBefore(copy: Client, { lsn, transactions }: DatabaseManifest): Promise<boolean> {
  if (transactions !== undefined && (await numberingOf(copy)).next < BigInt(transactions.begunBelow)) return true;
  const { rows: [row] } = await copy.query<{ before: boolean | null }>('SELECT pg_last_wal_replay_lsn() < $1::pg_lsn AS before', [lsn]);
  return row?.before === true;
}
