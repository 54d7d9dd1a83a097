import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import type { Client } from '@temporalio/client';
import { bundleWorkflowCode, Runtime, Worker, type NativeConnection, type WorkerOptions, type WorkflowBundleOption } from '@temporalio/worker';
import type { ActivityDependencies } from '../activities/create-activities.ts';
import { hostTaskQueue, TASK_QUEUE } from '../contracts/search-attributes.ts';
import { hostName } from './host.ts';
import { lazyActivities } from './lazy-activities.ts';
import { bundleOptions } from './workflow-bundle.ts';
import { WORKFLOW_THREAD } from './workflow-thread.ts';

/** What workers are made of. The connection stays the caller's, who closes it once they have stopped. */
export interface WorkersInput {
  connection: NativeConnection;
  namespace: string;
  /** What activities need; asked for while the workers start. */
  prepare: () => Promise<Omit<ActivityDependencies, 'client' | 'host'>>;
  /** When the workflow thread has started: what it waits for first is done, and others may have the processor. */
  threadStarted?: Promise<void>;
  /** Name of this host in task queues; the default is {@link hostName}. */
  host?: string;
  /** Who asks for tasks, as the server shows it; the default says which process of which host. */
  identity?: string | undefined;
}

/** Workers that take tasks as soon as they run, and the loading of the activities that the first of them wait for. */
export interface CreatedWorkers {
  workers: Worker[];
  /** What activities ask the server with, over the connection that their tasks come by. */
  client: Client;
  loaded: Promise<unknown>;
}

const TWO_POLLS = { type: 'simple-maximum', maximum: 2 } as const;

/**
 * The two workers of a process: one for workflows and for activities that any host may run, one for activities on the
 * files of this host. Resolves when both could work. Activities are loaded while the workflow thread starts, and not
 * before: that would keep it waiting, which takes longest.
 */
export async function createWorkers(input: WorkersInput): Promise<CreatedWorkers> {
  const { connection, namespace, prepare, threadStarted } = input;
  const host = input.host ?? hostName();
  const activities = lazyActivities(() => loaded);
  // Each open poll of a process that stalled (a frozen machine keeps its connections) swallows one task, which comes back
  // only when its timeout is over: with two of them, fewer than an activity has attempts. Runs are few, and two polls keep one on
  // the line at any time. SDK 1.24 ignores `maxConcurrentActivityTaskPolls` and its like: it has ten, whatever they say.
  const polls: Partial<WorkerOptions> = { workflowTaskPollerBehavior: TWO_POLLS, activityTaskPollerBehavior: TWO_POLLS };
  // An activity learns of a cancellation with its heartbeat: the SDK would hold those back for 8 of 10 seconds.
  const shared: Partial<WorkerOptions> = { ...polls, connection, namespace, identity: input.identity ?? `${process.pid}@${host}`, shutdownGraceTime: '2s', shutdownForceTime: '10s', maxHeartbeatThrottleInterval: '1s' };
  const first = workflowBundle().then((bundle) => Worker.create({ ...shared, ...WORKFLOW_THREAD, taskQueue: TASK_QUEUE, activities, workflowBundle: bundle, maxConcurrentActivityTaskExecutions: 500 }));
  const begun = Promise.race([first, ...(threadStarted ? [threadStarted] : [])]);
  // The locks bound the work, one drill a database. A bound here would keep teardowns waiting behind the copies of others.
  const second = begun.then(() => Worker.create({ ...shared, taskQueue: hostTaskQueue(host), activities, maxConcurrentActivityTaskExecutions: 500 }));
  const asking = begun.then(async () => new (await import('./worker-parts.ts')).Client({ connection, namespace }));
  const loaded = begun.then(async () => {
    const [{ createActivities }, prepared, client] = await Promise.all([import('./worker-parts.ts'), prepare(), asking]);
    return createActivities({ ...prepared, client, host });
  });
  // Who awaits it learns of its failure; a worker that could not be created has another.
  loaded.catch(() => undefined);
  const [workflows, files, client] = await Promise.all([first, second, asking]);
  return { workers: [workflows, files], client, loaded };
}

/** The bundle built ahead when there is one; else (from sources, in tests) it is made now. */
async function workflowBundle(): Promise<WorkflowBundleOption> {
  const built = fileURLToPath(new URL('../workflow-bundle.js', import.meta.url));
  return existsSync(built) ? { codePath: built } : bundleWorkflowCode({ ...bundleOptions(), logger: Runtime.instance().logger });
}
