import { Client } from 'pg';
import { awaitSegment, markEndOfManifest } from '../../activities/backup/await-archived.ts';
import type { Production } from './production.ts';

/** The demo archives into a directory beside: seconds are many. */
const ARCHIVED_MS = 60_000;

/** Writes and closes that many segments of WAL, one after the other, and waits until they are archived. */
export async function closeSegments({ config, archiveDirectory }: Pick<Production, 'config' | 'archiveDirectory'>, count: number): Promise<void> {
  const client = new Client(config);
  await client.connect();
  try {
    for (let number = 1; number <= count; number += 1) {
      const { segment, segmentSize } = await markEndOfManifest(client, `demo ${number}`);
      await awaitSegment({ directory: archiveDirectory, segment, segmentSize, timeoutMs: ARCHIVED_MS, signal: AbortSignal.timeout(2 * ARCHIVED_MS), onWait: () => undefined });
    }
  } finally {
    await client.end();
  }
}
