import { randomUUID } from 'node:crypto';
import { mkdtemp, readFile } from 'node:fs/promises';
import path from 'node:path';
import type { WorkflowHandleWithFirstExecutionRunId, WorkflowStartOptions } from '@temporalio/client';
import { expect } from 'vitest';
import type { Evidence } from '../../contracts/evidence.ts';
import { guardianId } from '../../contracts/guardian.ts';
import type { Progress } from '../../contracts/messages.ts';
import type { KernelEnvironment } from './kernel-environment.ts';
import { PATIENT } from './patience.ts';

/** A run of the toy runbook, and what tests ask of it. */
export interface ToyRun {
  handle: WorkflowHandleWithFirstExecutionRunId;
  guardian: ReturnType<KernelEnvironment['client']['workflow']['getHandle']>;
  /** Where it works. */
  root: string;
  /** What its activities did, a line each. */
  journal: () => Promise<string[]>;
  /** What was undone, a name for each undo that was begun; a repeated attempt of one does not count again. */
  undone: () => Promise<string[]>;
  /** The one piece of evidence that it has. */
  evidence: () => Promise<Evidence>;
}

/** Starts the toy runbook, in a directory of its own; `prepare` comes before it begins. */
export async function startToy(environment: KernelEnvironment, input: Record<string, unknown> = {}, client = environment.client, { prepare, type = 'toy', ...options }: Partial<WorkflowStartOptions> & { prepare?: (root: string) => Promise<void>; type?: string } = {}): Promise<ToyRun> {
  const root = await mkdtemp(path.join(environment.root, 'run-'));
  await prepare?.(root);
  const handle = await client.workflow.start(type, { workflowId: `${type}/${randomUUID()}`, taskQueue: 'runbooks', args: [{ root, ...input }], ...options });
  const owner = { workflowId: handle.workflowId, firstExecutionRunId: handle.firstExecutionRunId };
  const linesOf = async (name: string) => (await readFile(path.join(root, name), 'utf8').catch(() => '')).trim().split('\n').filter(Boolean);
  return {
    handle, root,
    guardian: environment.client.workflow.getHandle(guardianId(owner)),
    journal: () => linesOf('journal'),
    undone: async () => [...new Set(await linesOf('undone'))].map((line) => line.split(' by ')[0] ?? ''),
    evidence: async () => {
      const found = (await environment.evidence()).filter((one) => one.workflowId === handle.workflowId);
      expect(found).toHaveLength(1);
      return found[0] as Evidence;
    },
  };
}

/** Waits for what must come. */
export async function until(condition: () => Promise<boolean>, what: string, withinMs = PATIENT.timeout): Promise<void> {
  for (const end = Date.now() + withinMs; Date.now() < end;) {
    if (await condition()) return;
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  throw new Error(`did not happen within ${withinMs / 1_000} s: ${what}`);
}

/** Waits until people can decide; throws where none opens in time. */
export const gateOpens = ({ handle }: ToyRun): Promise<void> => until(async () => (await handle.query<Progress>('progress')).openGate !== null, 'the gate is open');

/** Waits until an activity of its first step acts. */
export const acting = ({ journal }: ToyRun): Promise<void> => until(async () => (await journal()).length > 0, 'the first step began');

type Events = NonNullable<Awaited<ReturnType<ToyRun['handle']['fetchHistory']>>['events']>;

/** Resets a run, its newest life or another, to the workflow task whose end has the event id that is picked; its new life has another run id. */
export async function resetTo({ client }: KernelEnvironment, { handle }: ToyRun, pick: (events: Events) => Events[number]['eventId'], life?: string): Promise<string> {
  const runId = life ?? (await client.workflow.getHandle(handle.workflowId).describe()).runId;
  const { events } = await client.workflow.getHandle(handle.workflowId, runId).fetchHistory();
  const made = await client.workflowService.resetWorkflowExecution({
    namespace: 'default', workflowExecution: { workflowId: handle.workflowId, runId },
    reason: 'test', workflowTaskFinishEventId: pick(events ?? []) ?? null, requestId: randomUUID(),
  });
  return made.runId;
}

/** To before its second step, with its target held; for {@link resetTo}. */
export function toSecondStep(events: Events): Events[number]['eventId'] {
  return events.map((event) => event.activityTaskScheduledEventAttributes).filter((one) => one?.activityType?.name === 'writeToy')[1]?.workflowTaskCompletedEventId;
}

/** As {@link resetTo}, to the first workflow task that it completed, or to the last. */
export function reset(environment: KernelEnvironment, run: ToyRun, to: 'first' | 'last', life?: string): Promise<string> {
  return resetTo(environment, run, (events) => events.filter((event) => event.workflowTaskCompletedEventAttributes).at(to === 'first' ? 0 : -1)?.eventId, life);
}
