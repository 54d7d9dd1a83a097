import type { TemporalFailure } from '@temporalio/workflow';
import { Backup, type BackupResult } from '../../contracts/backup.ts';
import type { FailureType } from '../../contracts/failures.ts';
import { describeFailure } from '../procedure/outcome.ts';
import { runbook } from '../procedure/runbook.ts';
import { incoming, onHost, readOn } from './activities.ts';

/** Takes a base backup and its exact manifest under write load, and publishes both with one rename. */
export const backup = runbook(Backup, async (run) => {
  const database = run.settings.target;
  const plan = await run.step('plan', () => readOn(run.settings).planBackup({ database, owner: run.owner, startedAtMs: run.startedAtMs, copiesFiles: true }));
  run.plan(plan);
  const host = onHost(plan.taskQueue, run.settings.lease.hostLossMs);
  const fence = await run.own({ ...incoming, taskQueue: plan.taskQueue, input: { database } });
  const ref = { database, id: plan.id, fence, owner: run.owner };

  const base = await run.step('base backup', () => host.takeBaseBackup({ backup: ref }), { summary: (copy) => `${copy.files} files, ${copy.bytes} bytes, ${copy.startLsn} to ${copy.stopLsn}` });
  const whole = { ...ref, part: base.part };
  const taken = plan.noManifest === null
    ? await run.step('manifest', () => host.takeManifest({ backup: whole }), { summary: (result) => `${result.tables} tables, ${result.rows} rows at ${result.lsns.join(', ')} (attempt ${result.attempts})` }).catch(whyGivenUp)
    : { noManifest: plan.noManifest };
  run.notVerified('noManifest' in taken ? { open: [`no exact manifest: ${taken.noManifest}`] } : taken.notVerified);
  await run.step('archive', () => host.awaitArchived({ backup: ref }), { summary: ({ lastSegment }) => `archived up to ${lastSegment}` });
  await run.step('publish', () => host.publishBackup({ backup: whole }), { summary: ({ directory }) => directory });
  const result: Omit<BackupResult, 'evidence'> = { id: plan.id, bytes: base.bytes, files: base.files, manifest: 'noManifest' in taken ? null : { tables: taken.tables, rows: taken.rows } };
  return { result };
});

/** A manifest that would have cost production too much, or cannot be read, leaves a backup that is as good as one of a source that can give none. */
function whyGivenUp(error: unknown): { noManifest: string } {
  const { type, message } = describeFailure(error as TemporalFailure);
  if (type !== ('MANIFEST_GAVE_UP' satisfies FailureType)) throw error;
  return { noManifest: message };
}
