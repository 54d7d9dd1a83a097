import { randomUUID } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { WorkflowFailedError, type WorkflowHandleWithFirstExecutionRunId } from '@temporalio/client';
import type { BackupResult } from '../../contracts/backup.ts';
import { evidenceSchema, type Evidence } from '../../contracts/evidence.ts';
import type { Progress } from '../../contracts/messages.ts';
import { TASK_QUEUE } from '../../contracts/search-attributes.ts';
import type { DemoEnvironment } from '../../scripts/demo/environment.ts';
import { awaitGuardian } from './await-guardian.ts';

/** What tests need of an environment to drive the workflows in it. */
export type Driven = Pick<DemoEnvironment, 'client'>;

/** A drill that has ended, however it ended. */
export interface EndedDrill {
  evidence: Evidence;
  /** Why the workflow failed; undefined where it succeeded. */
  failure: string | undefined;
}

/** What happens at the gate; without anything it is approved at once. */
export interface RunDrillOptions {
  /** Target in the configuration. */
  database?: string;
  /** How long to leave the gate open before approving. Default: not at all. */
  holdGateMs?: number;
  /** Called while the gate is open, before it is approved. */
  atGate?: () => Promise<void>;
  /** Called right before the approval is sent. */
  atApproval?: () => void;
}

/** Takes a backup by its workflow. */
export async function takeBackup({ client }: Driven, database = 'shop'): Promise<BackupResult> {
  return await client.workflow.execute('backup', { workflowId: `backup/${database}/${randomUUID()}`, taskQueue: TASK_QUEUE, args: [{ database }] }) as BackupResult;
}

/** Runs `dr-test` to its end, approves at its gate if it has one, and waits until its guardian has ended, too. */
export async function runDrill({ client }: Driven, input: Record<string, unknown> = {}, options: RunDrillOptions = {}): Promise<EndedDrill> {
  const { database = 'shop', holdGateMs = 0, atGate, atApproval } = options;
  const handle = await client.workflow.start('dr-test', { workflowId: `dr-test/${database}/${randomUUID()}`, taskQueue: TASK_QUEUE, args: [{ database, requester: 'test', ...input }] });
  const ended = drillEnd({ client }, handle);
  let running = true;
  const approved = (async () => {
    while (running) {
      const progress = await handle.query<Progress>('progress').catch(() => undefined);
      if (progress?.openGate) {
        await atGate?.();
        await sleep(holdGateMs);
        atApproval?.();
        await handle.signal('approve', { gate: progress.openGate.name, by: 'anna' });
        return;
      }
      await sleep(50);
    }
  })();
  const end = await ended.finally(() => { running = false; });
  await approved;
  return end;
}

/** How a drill ends that somebody else drives; its guardian has ended then, too. */
export async function drillEnd({ client }: Driven, handle: WorkflowHandleWithFirstExecutionRunId): Promise<EndedDrill> {
  const { file, failure } = await handle.result().then((result) => ({ file: (result as { evidence: string }).evidence, failure: undefined }), (error: unknown) => failed(error));
  await awaitGuardian(client, handle);
  return { evidence: evidenceSchema.parse(JSON.parse(await readFile(file, 'utf8'))), failure };
}

function failed(error: unknown): { file: string; failure: string } {
  if (!(error instanceof WorkflowFailedError)) throw error;
  const cause = error.cause as { message?: string; details?: [{ evidence?: string }] } | undefined;
  const file = cause?.details?.[0]?.evidence;
  if (file === undefined) throw error;
  return { file, failure: cause?.message ?? 'no reason given' };
}
