import { randomUUID } from 'node:crypto';
import type { Client, WorkflowHandle } from '@temporalio/client';
import { guardianId, lockId } from '../../../contracts/guardian.ts';
import { TASK_QUEUE } from '../../../contracts/search-attributes.ts';
import { ratioOutcome } from '../outcome.ts';
import type { KernelRowGroup } from './row.ts';

const FEW = 10;
const MANY = 60;
/** As long as the other, since its name is in each task. */
const BARE_QUEUE = 'bareruns';

/** What a history holds. */
interface History { events: number; bytes: number }

/**
 * What one more step adds to a run's history, against one more activity in a bare workflow with the same activities and
 * options: the difference of a long and a short run, so that what a run costs once is in neither. That is in the notes.
 */
export const steps: KernelRowGroup = {
  names: ['stepEvents', 'stepBytes'],
  measure: ({ stage, settings }) => stage.onServer(async ({ client, startWorker }) => {
    await startWorker('kernel', { taskQueues: [TASK_QUEUE, 'bench-host'] });
    await startWorker('bare', { taskQueues: [BARE_QUEUE] });
    const samples: Record<'run' | 'bare' | 'withUndo', History[]> = { run: [], bare: [], withUndo: [] };
    const marginal = async (measure: (count: number) => Promise<History>): Promise<History> => difference(await measure(FEW), await measure(MANY), MANY - FEW);
    for (let repetition = 0; repetition < settings.repetitions; repetition += 1) {
      samples.run.push(await marginal(async (count) => (await runSteps(client, count)).run));
      samples.bare.push(await marginal((count) => runBare(client, count)));
      samples.withUndo.push(await marginal(async (count) => (await runSteps(client, count, true)).run));
    }
    const fixed = await runSteps(client, 0);
    const bare = await runBare(client, 0);
    const said = ({ events, bytes }: History) => `${events} events, ${bytes} bytes`;
    const notes = {
      stepEvents: [`once per run: ${said(sum(fixed.run, fixed.guardian, fixed.lock))} (run of no step ${said(fixed.run)}; its guardian ${said(fixed.guardian)}; its share of the lock ${said(fixed.lock)}); a bare workflow of no step: ${said(bare)}`],
      stepBytes: [`a step with an undo entry: ${said(samples.withUndo[0] as History)}`],
    };
    const outcome = (name: 'stepEvents' | 'stepBytes', of: keyof History, unit: 'events' | 'bytes') => ratioOutcome(
      name, { name: 'step', samples: samples.run.map((history) => history[of]) }, { name: 'bare activity', samples: samples.bare.map((history) => history[of]) }, { unit, notes: notes[name] },
    );
    return [outcome('stepEvents', 'events', 'events'), outcome('stepBytes', 'bytes', 'bytes')];
  }),
};

async function runBare(client: Client, count: number): Promise<History> {
  const handle = await client.workflow.start('bareSteps', { workflowId: `bench-steps/shop/${randomUUID()}`, taskQueue: BARE_QUEUE, args: [{ steps: count }] });
  await handle.result();
  return historyOf(handle);
}

/** A run alone on its target, with what its guardian and the lock wrote for it. */
async function runSteps(client: Client, count: number, withUndo = false): Promise<{ run: History; guardian: History; lock: History }> {
  const workflowId = `bench-steps/shop/${randomUUID()}`;
  const lock = client.workflow.getHandle(lockId('shop'));
  const before = await historyOf(lock).catch(() => ({ events: 0, bytes: 0 }));
  const handle = await client.workflow.start('bench-steps', { workflowId, taskQueue: TASK_QUEUE, args: [{ database: 'shop', steps: count, withUndo }] });
  const guardian = client.workflow.getHandle(guardianId({ workflowId, firstExecutionRunId: handle.firstExecutionRunId }));
  await handle.result();
  await guardian.result();
  return { run: await historyOf(handle), guardian: await historyOf(guardian), lock: difference(before, await historyOf(lock), 1) };
}

async function historyOf(handle: WorkflowHandle): Promise<History> {
  const { historyLength, historySize } = await handle.describe();
  return { events: historyLength, bytes: historySize ?? 0 };
}

const difference = (from: History, to: History, by: number): History => ({ events: (to.events - from.events) / by, bytes: (to.bytes - from.bytes) / by });

const sum = (...parts: History[]): History => ({ events: parts.reduce((total, { events }) => total + events, 0), bytes: parts.reduce((total, { bytes }) => total + bytes, 0) });
