import { readFile, writeFile } from 'node:fs/promises';
import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { parse, stringify } from 'yaml';
import type { WorkflowHandle } from '@temporalio/client';
import type { Progress } from '../../contracts/messages.ts';
import { TASK_QUEUE } from '../../contracts/search-attributes.ts';
import type { DemoEnvironment } from '../../scripts/demo/environment.ts';
import type { RunAddress } from './web-ui.ts';

/** A bare signal counts only after people had the time to read the plan, which is two seconds. */
const READING_MS = 2_200;

/** A run that waits at its gate, and its page. */
export interface WaitingRun { handle: WorkflowHandle; address: RunAddress }

/** Starts `dr-test`. */
export async function startDrill({ client }: DemoEnvironment, database: string): Promise<WaitingRun> {
  const handle = await client.workflow.start('dr-test', { workflowId: `dr-test/${database}/${randomUUID()}`, taskQueue: TASK_QUEUE, args: [{ database }] });
  return { handle, address: { workflowId: handle.workflowId, runId: handle.firstExecutionRunId } };
}

/** Waits until the run's gate has been open for long enough that a bare signal may count. */
export async function waitAtGate(handle: WorkflowHandle): Promise<NonNullable<Progress['openGate']>> {
  for (const end = Date.now() + 60_000; Date.now() < end; await sleep(100)) {
    const { openGate } = await progressOf(handle);
    if (!openGate) continue;
    await sleep(Math.max(0, Date.parse(openGate.openedAt) + READING_MS - Date.now()));
    return openGate;
  }
  throw new Error(`${handle.workflowId} did not come to its gate`);
}

/** The answer of the `progress` query. */
export async function progressOf(handle: WorkflowHandle): Promise<Progress> {
  return handle.query<Progress>('progress');
}

/**
 * Puts targets with other gates into the configuration, on the same database and backups as `shop`, and starts the
 * worker anew. Runs keep the policy that they started with.
 */
export async function addTargets(demo: DemoEnvironment, gates: Record<string, { assurance: string; quorum: number }>): Promise<void> {
  const configuration = parse(await readFile(demo.configurationFile, 'utf8')) as { databases: Record<string, object> };
  for (const [name, start] of Object.entries(gates)) configuration.databases[name] = { ...configuration.databases['shop'], gates: { start } };
  // Aliases would be written for what is used twice, and nobody writes configuration like that.
  await writeFile(demo.configurationFile, stringify(configuration, { aliasDuplicateObjects: false }));
  await demo.endWorker('SIGTERM');
  await demo.startWorker();
}
