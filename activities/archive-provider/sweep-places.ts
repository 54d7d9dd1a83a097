import { readdir, readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { WorkflowNotFoundError, type Client } from '@temporalio/client';
import { z } from 'zod';
import type { Configuration } from '../../contracts/configuration.ts';
import { guardianId } from '../../contracts/guardian.ts';
import { closePlace, PLACE_RECORD, placeName } from './drill-place.ts';

const placeRecord = z.object({ database: z.string(), fence: z.number().int(), owner: z.object({ workflowId: z.string(), firstExecutionRunId: z.string() }) });

/**
 * Removes the drills that this host was lost with: their guardians gave the host up and are closed, so nobody else will.
 * Called when a worker starts, and now and then. A living guardian's place is left alone; so is a young one whose guardian this server
 * does not know, since it may be another server's. Returns what was removed.
 */
export async function sweepAbandonedPlaces({ client, configuration }: { client: Client; configuration: Configuration }): Promise<string[]> {
  const { directory } = configuration.drills;
  const removed: string[] = [];
  for (const name of await readdir(directory).catch(() => [])) {
    const file = join(directory, name, PLACE_RECORD);
    const text = await readFile(file, 'utf8').catch(() => undefined);
    const call = text === undefined ? undefined : placeRecord.parse(JSON.parse(text));
    if (!call || name !== placeName(call)) continue;
    const isOverdue = Date.now() - (await stat(file)).mtimeMs > configuration.lease.maximum;
    if (!(await isAbandoned(client, guardianId(call.owner), isOverdue))) continue;
    const provider = configuration.databases[call.database]?.provider;
    removed.push(...await closePlace(directory, call, provider ? [provider.repository, provider.walDirectory] : []));
  }
  return removed;
}

async function isAbandoned(client: Client, id: string, isOverdue: boolean): Promise<boolean> {
  try {
    return (await client.workflow.getHandle(id).describe()).status.name !== 'RUNNING';
  } catch (error) {
    if (error instanceof WorkflowNotFoundError) return isOverdue;
    throw error;
  }
}
