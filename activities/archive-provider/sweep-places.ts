import { readdir, readFile, rmdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { WorkflowNotFoundError, type Client } from '@temporalio/client';
import { z } from 'zod';
import type { Configuration } from '../../contracts/configuration.ts';
import { guardianId } from '../../contracts/guardian.ts';
import { closePlace, PLACE_RECORD, placeName } from './drill-place.ts';

/** Much longer than making a place and writing its record takes. */
export const OPENING_MS = 10 * 60_000;

/** What {@link PLACE_RECORD} holds. */
export const placeRecord = z.object({ database: z.string(), fence: z.number().int(), owner: z.object({ workflowId: z.string(), firstExecutionRunId: z.string() }) });

/**
 * Removes the drills that this host was lost with: their guardians gave the host up and are closed, so nobody else will.
 * Called when a worker starts, and now and then. A living guardian's place is left alone; so is a young one whose guardian this server
 * does not know, since it may be another server's. A place that cannot be removed is handed to `onStuck` and keeps no other
 * from being removed. Returns what was.
 */
export async function sweepAbandonedPlaces(args: { client: Client; configuration: Configuration; onStuck: (place: string, error: Error) => void }): Promise<string[]> {
  const { directory } = args.configuration.drills;
  const removed: string[] = [];
  for (const name of await readdir(directory).catch(() => [])) {
    await sweepPlace(args, name).then((what) => removed.push(...what), (error: Error) => args.onStuck(join(directory, name), error));
  }
  return removed;
}

async function sweepPlace({ client, configuration }: { client: Client; configuration: Configuration }, name: string): Promise<string[]> {
  const { directory } = configuration.drills;
  const file = join(directory, name, PLACE_RECORD);
  const text = await readFile(file, 'utf8').catch(() => undefined);
  const call = text === undefined ? undefined : placeRecord.safeParse(JSON.parse(text)).data;
  if (!call || name !== placeName(call)) {
    await removeEmpty(join(directory, name));
    return [];
  }
  const isOverdue = Date.now() - (await stat(file)).mtimeMs > configuration.lease.maximum;
  if (!(await isAbandoned(client, guardianId(call.owner), isOverdue))) return [];
  const provider = configuration.databases[call.database]?.provider;
  return closePlace(directory, call, provider ? [provider.repository, provider.walDirectory] : []);
}

/** A worker that was stopped while it opened a place may make the bare directory long after the place was closed. */
async function removeEmpty(path: string): Promise<void> {
  const age = Date.now() - (await stat(path).then(({ mtimeMs }) => mtimeMs, () => Date.now()));
  // Removes nothing that holds anything, and nothing that is not a directory.
  if (/\/[0-9a-f]{8}-\d+$/.test(path) && age > OPENING_MS) await rmdir(path).catch(() => undefined);
}

/** Whether nobody will close what this guardian opened. One that the server does not know may be another server's, until it is overdue. */
export async function isAbandoned(client: Client, id: string, isOverdue: boolean): Promise<boolean> {
  try {
    return (await client.workflow.getHandle(id).describe()).status.name !== 'RUNNING';
  } catch (error) {
    if (error instanceof WorkflowNotFoundError) return isOverdue;
    throw error;
  }
}
