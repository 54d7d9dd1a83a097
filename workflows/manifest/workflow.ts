import { ManifestRunbook, type ManifestRunResult } from '../../contracts/backup.ts';
import type { Conclusion } from '../procedure/run.ts';
import { incoming, onHost, readOn } from '../backup/activities.ts';
import { runbook } from '../procedure/runbook.ts';

/** Takes an exact manifest alone, for backups that other tools made. */
export const manifest = runbook(ManifestRunbook, async (run): Promise<Conclusion<Partial<ManifestRunResult>>> => {
  const database = run.settings.target;
  const plan = await run.step('plan', () => readOn(run.settings).planBackup({ database, owner: run.owner, startedAtMs: run.startedAtMs, copiesFiles: false }));
  run.plan(plan);
  if (plan.noManifest !== null) return { result: {}, failure: { type: 'PREFLIGHT', message: `no exact manifest can be taken: ${plan.noManifest}` } };
  const host = onHost(plan.taskQueue, run.settings.lease.hostLossMs);
  const fence = await run.own({ ...incoming, taskQueue: plan.taskQueue, input: { database } });
  const ref = { database, id: plan.id, fence, owner: run.owner };

  const taken = await run.step('manifest', () => host.takeManifest({ backup: ref }), { summary: (result) => `${result.tables} tables, ${result.rows} rows at ${result.lsns.join(', ')}` });
  run.notVerified(taken.notVerified);
  await run.step('archive', () => host.awaitArchived({ backup: ref }));
  const { file } = await run.step('publish', () => host.publishManifest({ backup: ref }));
  return { result: { id: plan.id, file, tables: taken.tables, rows: taken.rows } };
});
