import type { WorkflowHandle } from '@temporalio/client';
import type { Evidence } from '../../contracts/evidence.ts';
import type { Progress } from '../../contracts/messages.ts';
import type { KernelEnvironment } from './kernel-environment.ts';
import type { ToyRun } from './toy-runs.ts';

/** The newest life of runs that are reset, and what is written of each. @param environment asked when it is needed: it starts later than a test file is read */
export function livesOf(environment: () => KernelEnvironment): {
  newest: (run: ToyRun) => WorkflowHandle;
  newestGuardian: (run: ToyRun) => WorkflowHandle;
  /** Undefined where nobody answers yet. */
  phaseOf: (run: ToyRun) => Promise<Progress['phase'] | undefined>;
  /** Of one life, once the newest and its guardian are over. */
  evidenceOf: (run: ToyRun, runId: string) => Promise<Evidence | undefined>;
} {
  const newest = ({ handle }: ToyRun) => environment().client.workflow.getHandle(handle.workflowId);
  const newestGuardian = ({ guardian }: ToyRun) => environment().client.workflow.getHandle(guardian.workflowId);
  return {
    newest, newestGuardian,
    phaseOf: async (run) => (await newest(run).query<Progress>('progress').catch(() => undefined))?.phase,
    evidenceOf: async (run, runId) => {
      await newest(run).result().catch(() => undefined);
      await newestGuardian(run).result();
      return (await environment().evidence()).find((one) => one.workflowId === run.handle.workflowId && one.runId === runId);
    },
  };
}
