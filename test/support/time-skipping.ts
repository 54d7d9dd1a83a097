import { randomUUID } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { ApplicationFailure } from '@temporalio/activity';
import { Client, type WorkflowHandleWithFirstExecutionRunId } from '@temporalio/client';
import type { TestWorkflowEnvironment } from '@temporalio/testing';
import { Worker } from '@temporalio/worker';
import { createKernelActivities } from '../../activities/kernel/create-kernel-activities.ts';
import type { KernelActivities, RunEnd } from '../../activities/kernel/kernel-activities.ts';
import { latestRun } from '../../activities/kernel/run-end.ts';
import type { Configuration } from '../../contracts/configuration.ts';
import type { Evidence } from '../../contracts/evidence.ts';
import { awaitGuardian } from './await-guardian.ts';
import { bundleToy, readEvidence } from './kernel-environment.ts';
import { startTimeSkippingServer } from './time-skipping-server.ts';
import { toyActivities } from './toy/activities.ts';

type Activities = Record<string, (input: never) => Promise<unknown>>;

/** A server that skips time, with workers for the toy. It begins at the time of this machine. */
export interface TimeSkipping {
  environment: TestWorkflowEnvironment;
  /** A folder of its own. */
  root: string;
  /** What the kernel really does, at this server. It looks at the server as it is: only who waits for a result there lets time pass. */
  kernelActivities(configuration: Configuration): KernelActivities;
  /** `instead`: activities that do something else. A further call ends the worker before. */
  startWorker(configuration: Configuration, instead?: Activities): Promise<void>;
  startToy(input?: Record<string, unknown>): Promise<WorkflowHandleWithFirstExecutionRunId>;
  /** Waits for the guardian of a run; gives the evidence of that run. */
  evidenceOf(handle: WorkflowHandleWithFirstExecutionRunId, configuration: Configuration): Promise<Evidence[]>;
  stop(): Promise<void>;
}

/** `lookEvery`: this server's time stands still while an activity is at work, so that one which watches has to be many short looks. */
export async function startTimeSkipping(lookEvery: '30m' | '5 days'): Promise<TimeSkipping> {
  const root = await mkdtemp(path.join(tmpdir(), 'time-skipping-'));
  const server = await startTimeSkippingServer(root);
  const { environment } = server;
  const client = new Client({ connection: environment.connection });
  const kernelActivities = (configuration: Configuration) => createKernelActivities({ client, configuration, codeVersion: 'test', searchAttributes: [] });
  const awaitRunEnd: KernelActivities['awaitRunEnd'] = async ({ owner }): Promise<RunEnd> => {
    const run = await latestRun(client, owner);
    if (!run || run.status.name === 'RUNNING') throw ApplicationFailure.create({ message: 'it still runs', nextRetryDelay: lookEvery });
    const { name } = run.status;
    return { status: name === 'COMPLETED' ? 'completed' : name === 'TERMINATED' ? 'terminated' : 'failed', runId: run.runId, closedAtMs: run.closeTime?.getTime() ?? Date.now() };
  };
  let stopWorker = async (): Promise<void> => undefined;
  return {
    environment, root, kernelActivities,
    async startWorker(configuration, instead = {}) {
      await stopWorker();
      const worker = await Worker.create({
        connection: environment.nativeConnection, taskQueue: 'runbooks', workflowBundle: await bundleToy(),
        activities: { ...kernelActivities(configuration), ...toyActivities, awaitRunEnd, ...instead },
      });
      const running = worker.run();
      stopWorker = async () => {
        stopWorker = async () => undefined;
        worker.shutdown();
        await running;
      };
    },
    startToy: async (input = {}) => environment.client.workflow.start('toy', { workflowId: `toy/${randomUUID()}`, taskQueue: 'runbooks', args: [{ root: await mkdtemp(path.join(root, 'run-')), ...input }] }),
    async evidenceOf(handle, configuration) {
      await handle.result().catch(() => undefined);
      await awaitGuardian(environment.client, handle);
      return (await readEvidence(configuration)).filter((one) => one.workflowId === handle.workflowId);
    },
    async stop() {
      await stopWorker();
      await server.stop();
      await rm(root, { recursive: true, force: true });
    },
  };
}
