import { readFile, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import type { Client } from '@temporalio/client';
import { QUERIES } from '../../contracts/messages.ts';
import { GUARDIAN_TYPE, LOCK_TYPE } from '../../contracts/guardian.ts';
import { NOTIFICATION_TYPE } from '../../contracts/notification.ts';
import type { Place } from './secret-forms.ts';

const ASKED: readonly string[] = [...Object.values(QUERIES), '__stack_trace', '__temporal_workflow_metadata'];
const OWN: readonly string[] = [GUARDIAN_TYPE, LOCK_TYPE, NOTIFICATION_TYPE];

/**
 * A workflow's history with all payloads, what the server says of it, and what it answers to `queries`: one at a time,
 * since SDK core loses some of those that reach a closed run together ("leftover buffered tasks when evicting run"),
 * and the server waits 30 s for each of them.
 */
export async function placesOf({ workflow }: Client, { workflowId, runId, queries }: { workflowId: string; runId: string; queries: readonly string[] }): Promise<Place[]> {
  const handle = workflow.getHandle(workflowId, runId);
  const answers: Place[] = [];
  for (const query of queries) answers.push({ where: `answer of ${workflowId} to ${query}`, content: await handle.query(query) });
  return [
    { where: `history of ${workflowId}`, content: await handle.fetchHistory() },
    { where: `description of ${workflowId}`, content: await handle.describe() },
    ...answers,
  ];
}

/** Every workflow of the namespace, and how many there are of each type. */
export async function workflowPlaces(client: Client): Promise<{ places: Place[]; types: Map<string, number> }> {
  const places: Place[] = [];
  const types = new Map<string, number>();
  for await (const { workflowId, runId, type } of client.workflow.list()) {
    types.set(type, (types.get(type) ?? 0) + 1);
    places.push(...await placesOf(client, { workflowId, runId, queries: ASKED.filter((name) => !OWN.includes(type) || name.startsWith('__')) }));
  }
  return { places, types };
}

/** Every file below a directory with its name, but for what lies in one of `except`. */
export async function filePlaces(root: string, except: readonly string[]): Promise<Place[]> {
  const entries = await readdir(root, { recursive: true, withFileTypes: true });
  const files = entries.filter((entry) => entry.isFile()).map(({ parentPath, name }) => join(parentPath, name));
  const shown = files.filter((file) => !except.some((place) => file === place || file.startsWith(`${place}/`)));
  return Promise.all(shown.map(async (file) => ({ where: `file ${file.slice(root.length + 1)}`, content: [file, await readFile(file)] })));
}
