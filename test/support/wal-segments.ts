import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Client } from 'pg';

/** Closes the segment that is being written; returns its name. */
export async function closeSegment(client: Client): Promise<string> {
  const { rows: [row] } = await client.query<{ name: string }>('SELECT pg_walfile_name(pg_switch_wal()) AS name');
  return row?.name ?? '';
}

/** Waits until a segment is in the archive. */
export async function archived(directory: string, name: string): Promise<void> {
  for (const end = Date.now() + 60_000; Date.now() < end; await sleep(50)) {
    if (await stat(join(directory, name)).then(() => true, () => false)) return;
  }
  throw new Error(`${name} was not archived within 60 s`);
}

/** Closes the segment that is being written, and waits until it is in the archive. */
export async function archiveUpToNow(client: Client, directory: string): Promise<void> {
  await archived(directory, await closeSegment(client));
}
