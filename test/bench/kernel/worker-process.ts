/** A worker in a process of its own, so that its memory is all there is: `node worker-process.js SETTINGS`. Ends with its parent. */
import { setTimeout as sleep } from 'node:timers/promises';
import { BroadcastChannel } from 'node:worker_threads';
import { Client } from '@temporalio/client';
import { DefaultLogger, NativeConnection, Runtime, Worker } from '@temporalio/worker';
import { createKernelActivities } from '../../../activities/kernel/create-kernel-activities.ts';
import { configurationSchema } from '../../../contracts/configuration.ts';
import { registerSearchAttributes } from '../../../workers/search-attributes.ts';
import { benchActivities } from './activities.ts';
import { ANSWERS, collect, REQUESTS, type ThreadMemory } from './thread-memory.ts';

/** `maxCachedWorkflows` left out: as many as the SDK takes by itself. */
export interface WorkerSettings { address: string; codePath: string; taskQueues: string[]; configuration: unknown; maxCachedWorkflows?: number }
/** What a worker holds: resident bytes after collecting all garbage, and of them what each thread's heap holds. */
export interface WorkerMemory { resident: number; threads: ThreadMemory[]; cached: number }
/** What the bench asks a worker over IPC. `memory` collects all garbage first, which takes more than a second. */
export type Question = 'status' | 'memory';
/** In the order of the questions, one for each; `failed` instead of an exit, so that the bench can say why. */
export type Answer = { cached: number } | WorkerMemory | { failed: string };

const settings = JSON.parse(process.argv[2] ?? '') as WorkerSettings;
Runtime.install({ logger: new DefaultLogger('ERROR'), shutdownSignals: [] });
const connection = await NativeConnection.connect({ address: settings.address });
const configuration = configurationSchema.parse(settings.configuration);
const searchAttributes = await registerSearchAttributes(connection, 'default', (line) => process.stderr.write(`${line}\n`));
const kernel = createKernelActivities({ client: new Client({ connection }), configuration, codeVersion: 'bench', searchAttributes });
const { codePath, maxCachedWorkflows } = settings;
const workers = await Promise.all(settings.taskQueues.map((taskQueue, index) => Worker.create({
  connection, taskQueue, activities: { ...kernel, ...benchActivities },
  ...(index === 0 ? { workflowBundle: { codePath }, ...(maxCachedWorkflows === undefined ? {} : { maxCachedWorkflows }) } : {}),
})));
const [first] = workers;
const answers = new BroadcastChannel(ANSWERS);
const requests = new BroadcastChannel(REQUESTS);

process.on('SIGINT', () => {}); // Ctrl-C reaches the whole group; the parent decides.
process.on('disconnect', () => process.exit());
process.on('message', (question: Question) => {
  answer(question).then((said) => process.send?.(said), (error: unknown) => process.send?.({ failed: error instanceof Error ? (error.stack ?? error.message) : String(error) } satisfies Answer));
});
const running = Promise.all(workers.map((worker) => worker.run()));
process.send?.('ready');
await running;

async function answer(question: Question): Promise<Answer> {
  const cached = first?.getStatus().numCachedWorkflows ?? 0;
  if (question === 'status') return { cached };
  const workflowThread = new Promise<ThreadMemory>((resolve) => { answers.onmessage = ({ data }) => resolve(data as ThreadMemory); });
  requests.postMessage('collect');
  const threads = [await workflowThread, collect()];
  // What the threads' heaps gave back goes to the system in the background.
  await sleep(1_000);
  return { resident: process.memoryUsage().rss, threads, cached };
}
