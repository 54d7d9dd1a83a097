import { DatabaseSnapshot, type DatabaseSnapshotResult, type TakenSnapshot } from '../../contracts/database-snapshot.ts';
import type { VerifiedSnapshot } from '../../activities/database-snapshot/snapshot-activities.ts';
import type { Conclusion, Run } from '../procedure/run.ts';
import { runbook } from '../procedure/runbook.ts';
import { look, unfinished, work } from './activities.ts';

/** Takes a snapshot that the service keeps, has it copied, and removes those that are past their retention. What is not finished does not stay. */
export const databaseSnapshot = runbook(DatabaseSnapshot, async (run): Promise<Conclusion<Partial<Omit<DatabaseSnapshotResult, 'evidence'>>>> => {
  const database = run.settings.target;
  const plan = await run.step('plan', () => look.planSnapshot({ database, owner: run.owner, startedAtMs: run.startedAtMs }));
  run.plan(plan);
  run.notVerified({ byDesign: ['that it can be restored: a dr-test of it says that'] });
  const { stem, expiresAt, sizeBytes } = plan;
  const fence = await run.own({ ...unfinished, input: { database, stem, expiresAt } });
  const snapshot = { database, stem, fence, owner: run.owner, expiresAt };

  const taken = await run.step('snapshot', () => work.takeSnapshot({ snapshot }), { summary: say });
  const own = await run.step('verify', () => work.finishSnapshot({ snapshot, where: plan.where, sizeBytes }), { summary: sayVerified });
  if (!found(run, own)) return unsound(own, {});
  const copies: TakenSnapshot[] = [];
  for (const where of plan.copies) {
    copies.push(await run.step(`copy to ${where}`, () => work.copySnapshot({ snapshot, to: where }), { summary: say }));
    const copy = await run.step(`verify in ${where}`, () => work.finishSnapshot({ snapshot, where, sizeBytes, of: taken }), { summary: sayVerified });
    if (!found(run, copy)) return unsound(copy, { snapshot: taken, copies: copies.slice(0, -1) });
  }
  const { remove: chosen } = await run.step('look for expired ones', () => look.chooseExpiredSnapshots({ database }), { summary: ({ remove, kept, notOurs }) => `${remove.length} to remove, ${kept} kept, ${notOurs} that are not ours` });
  const { removed } = chosen.length === 0 ? { removed: [] } : await run.step('remove expired ones', () => work.removeExpiredSnapshots({ database, chosen }), { summary: (done) => `removed ${done.removed.join(', ') || 'none'}${done.spared.length > 0 ? `; spared ${done.spared.join(', ')}` : ''}` });
  return { result: { snapshot: taken, copies, removed } };
});

/** Puts what was found into the evidence; whether all of it is well. */
function found(run: Run, { checks, isFinished }: VerifiedSnapshot): boolean {
  run.checks(checks);
  return isFinished;
}

function unsound({ taken, checks }: VerifiedSnapshot, result: Partial<Omit<DatabaseSnapshotResult, 'evidence'>>): Conclusion<Partial<Omit<DatabaseSnapshotResult, 'evidence'>>> {
  const wrong = checks.filter(({ outcome }) => outcome === 'failed').map(({ name, detail }) => `${name}: ${detail}`);
  return { result, failure: { type: 'BACKUP_DAMAGED', message: `the snapshot ${taken.id} is not what was asked for, and does not stay: ${wrong.join('; ')}` } };
}

function say({ id, takenAt, sizeBytes }: TakenSnapshot): string {
  return `${id} of ${takenAt}, ${sizeBytes / 2 ** 30} GiB`;
}

function sayVerified({ checks, isFinished }: VerifiedSnapshot): string {
  return isFinished ? `${checks.length} checks passed` : `${checks.filter(({ outcome }) => outcome === 'failed').length} of ${checks.length} checks failed`;
}
