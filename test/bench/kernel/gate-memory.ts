import { setTimeout as sleep } from 'node:timers/promises';
import type { Client } from '@temporalio/client';
import { TASK_QUEUE } from '../../../contracts/search-attributes.ts';
import { ratioOutcome } from '../outcome.ts';
import type { KernelRowGroup } from './row.ts';
import type { BundleName, Stage } from './stage.ts';
import type { MeasuredWorker } from './worker.ts';

/** So many are started at once: more would only wait for each other. */
const AT_ONCE = 32;
/** Before anything counts, so many wait already: code is loaded and compiled. */
const WARM_UP = 50;
/** A worker is not asked more often. */
const LOOK_MS = 500;

interface Contender {
  bundle: BundleName;
  workflowType: string;
  input: object[];
  /** Where the server knows that they wait, how it is asked. */
  waiting?: string;
}

const CONTENDERS = {
  run: { bundle: 'kernel', workflowType: 'bench-gate', input: [{ database: 'shop', requester: 'carol' }], waiting: "RunbookPhase = 'gate: start'" },
  bare: { bundle: 'bare', workflowType: 'bareWait', input: [] },
  beside: { bundle: 'kernel', workflowType: 'bareWait', input: [] },
} as const satisfies Record<string, Contender>;

/**
 * Memory that a worker's process takes for runs that wait at a gate, against bare workflows that wait on a condition, in a
 * bundle of their own as the SDK makes it. (In ours they take less than that: what all share is more of the SDK, too.) All
 * stay in its cache, and nothing else does: a run has its guardian from when it takes its target.
 */
export const gateMemory: KernelRowGroup = {
  names: ['gateMemory'],
  async measure({ stage, settings }) {
    const samples: Record<keyof typeof CONTENDERS, number[]> = { run: [], bare: [], beside: [] };
    const kibEach: Record<keyof typeof CONTENDERS, string> = { run: '', bare: '', beside: '' };
    for (let repetition = 0; repetition < settings.repetitions; repetition += 1) {
      for (const name of Object.keys(CONTENDERS) as (keyof typeof CONTENDERS)[]) {
        const grown = await growth(stage, CONTENDERS[name], settings.runs);
        samples[name].push(grown.resident);
        kibEach[name] = `${grown.resident.toFixed(1)} KiB, of which ${grown.workflowHeap.toFixed(1)} in the heap of workflows and ${grown.mainHeap.toFixed(1)} in that of the process`;
        stage.log(`  ${name} ${repetition + 1}: ${kibEach[name]}`);
      }
    }
    return [ratioOutcome('gateMemory', { name: 'run', samples: samples.run }, { name: 'bare', samples: samples.bare }, {
      unit: 'KiB',
      notes: [
        `${settings.runs} of each; run: ${kibEach.run}`, `bare: ${kibEach.bare}`, `bare, but in the bundle of the runs: ${kibEach.beside}`,
      ],
    })];
  },
};

/** By how many KiB a process grew for each of `runs`. */
async function growth(stage: Stage, contender: Contender, runs: number): Promise<{ resident: number; workflowHeap: number; mainHeap: number }> {
  return stage.onServer(async ({ client, startWorker }) => {
    const worker = await startWorker(contender.bundle, { taskQueues: [TASK_QUEUE], maxCachedWorkflows: runs + WARM_UP + 100 });
    await startWaiting(client, worker, contender, { from: 0, to: WARM_UP });
    const before = await worker.memory();
    await startWaiting(client, worker, contender, { from: WARM_UP, to: WARM_UP + runs });
    const after = await worker.memory();
    const heap = (index: number) => ((after.threads[index]?.used ?? 0) - (before.threads[index]?.used ?? 0)) / 1024 / runs;
    return { resident: (after.resident - before.resident) / 1024 / runs, workflowHeap: heap(0), mainHeap: heap(1) };
  });
}

/** Starts those of these numbers, and resolves when all up to `to` wait and are in the worker's memory. */
async function startWaiting(client: Client, worker: MeasuredWorker, { workflowType, input, waiting }: Contender, { from, to }: { from: number; to: number }): Promise<void> {
  let next = from;
  await Promise.all(Array.from({ length: AT_ONCE }, async () => {
    while (next < to) {
      const number = next;
      next += 1;
      await client.workflow.start(workflowType, { workflowId: `bench/${number}`, taskQueue: TASK_QUEUE, args: input });
      // The server is faster than the worker: far behind, the worker's tasks would time out.
      if (number % AT_ONCE === 0) await reach(() => worker.cached(), number - 10 * AT_ONCE);
    }
  }));
  if (waiting !== undefined) await reach(async () => (await client.workflow.count(waiting)).count, to);
  await reach(() => worker.cached(), to);
}

/** A worker that makes no progress for so long has failed, and has said why. */
const STALLED_MS = 120_000;

/** Waits until `measure` comes to `wanted`. */
async function reach(measure: () => Promise<number>, wanted: number): Promise<void> {
  let [last, changedAt] = [-1, performance.now()];
  for (;;) {
    const now = await measure();
    if (now >= wanted) return;
    if (now !== last) [last, changedAt] = [now, performance.now()];
    if (performance.now() - changedAt > STALLED_MS) throw new Error(`the worker stays at ${now} of ${wanted}`);
    await sleep(LOOK_MS);
  }
}
