import { Backup, type BackupResult } from '../../contracts/backup.ts';
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
  if (plan.noManifest !== null) run.notVerified({ open: [`no exact manifest: ${plan.noManifest}`] });
  const manifest = plan.noManifest === null
    ? await run.step('manifest', () => host.takeManifest({ backup: whole }), { summary: (taken) => `${taken.tables} tables, ${taken.rows} rows at ${taken.lsns.join(', ')} (attempt ${taken.attempts})` })
    : null;
  if (manifest) run.notVerified(manifest.notVerified);
  await run.step('archive', () => host.awaitArchived({ backup: ref }), { summary: ({ lastSegment }) => `archived up to ${lastSegment}` });
  await run.step('publish', () => host.publishBackup({ backup: whole }), { summary: ({ directory }) => directory });
  const result: Omit<BackupResult, 'evidence'> = { id: plan.id, bytes: base.bytes, files: base.files, manifest: manifest && { tables: manifest.tables, rows: manifest.rows } };
  return { result };
});
