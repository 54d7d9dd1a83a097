import { DrTest, type DrillPlan, type DrTestResult } from '../../contracts/dr-test.ts';
import type { Check } from '../../contracts/evidence.ts';
import type { FailureType } from '../../contracts/failures.ts';
import type { CompareResult, Replay } from '../../activities/dr-test/drill-activities.ts';
import { runbook } from '../procedure/runbook.ts';
import { onHost, readOn } from './activities.ts';
import { hostClockSkew } from './clock-skew.ts';
import { recoveryActuals } from './recovery-actuals.ts';
import { PROBE_CHECK } from '../../contracts/asked-checks.ts';
import { bindingOf } from './binding.ts';
import { bytes, comparedIn, count, hasFailed, seconds, summaryOf } from './summaries.ts';
import { judge, judgedRta, unanswered, verdictSoFar } from './verdict.ts';

/** A backup that fails in one of these ways was proven unsound: that is a finding, not an accident. */
const FINDINGS: FailureType[] = ['BACKUP_DAMAGED', 'RECOVERY_FAILED', 'RECOVERY_STOPPED_EARLY'];

/** What a comparison that was skipped has compared. */
const NOT_COMPARED: CompareResult = { tables: 0, rows: 0, objects: 0, checks: [], notVerified: { open: [], byDesign: [] }, seconds: 0 };

/** Restores a real backup, compares every row with its manifest, measures RTA and RPA, and leaves nothing behind. */
export const drTest = runbook(DrTest, async (run, input) => {
  const database = run.settings.target;
  const startedAt = new Date(run.startedAtMs).toISOString();
  const declaredAt = input.declaredAt ?? startedAt;
  run.verdictWhenFailing(FINDINGS, { restore: 'unsound', rto: null, rpo: null });
  // The verdict at once: the run may fail, or be ended by force, before it comes to judge.
  const record = (checks: Check[]) => {
    run.checks(checks);
    run.verdict(verdictSoFar(run.allChecks));
  };
  const makePlan = (recoveryPoint: typeof input.recoveryPoint, before?: DrillPlan) => readOn(run.settings, before?.taskQueue).planDrill({ database, recoveryPoint, publishedUntil: before?.publishedUntil, planned: before && { recoveryPointId: before.recoveryPoint.id, lastPiece: before.archive.lastSegment }, depth: input.depth, allowNotProven: input.allowNotProven, declaredAt, isDeclaredAtStart: input.declaredAt === undefined, startedAt, owner: run.owner, leaseMs: run.settings.lease.maximumMs });
  let plan = await run.step('plan', () => makePlan(input.recoveryPoint), {
    summary: (drill) => `${drill.recoveryPoint.id}, ${bytes(drill.predicted.bytes)}, about ${seconds(drill.predicted.seconds)}`,
  });
  // Where the run itself is the declaration, the plan knows that instant by the clock of its host.
  const measuredMs = input.declaredAt === undefined && plan.publishedUntil !== undefined ? Date.parse(plan.publishedUntil) - run.startedAtMs : 0;
  const skew = hostClockSkew(plan.clocks, Date.now(), measuredMs);
  run.plan(plan, bindingOf(plan));
  run.notVerified(plan.notVerified);
  run.verdictWhenFailing(FINDINGS, { restore: 'unsound', rto: plan.objectives.rto === undefined ? 'notSet' : 'missed', rpo: plan.objectives.rpo === undefined ? 'notSet' : 'missed' });
  const host = onHost(plan.taskQueue, run.settings.lease.hostLossMs);
  record(await run.step('pre-flight', () => host.checkDrillIsPossible({ plan }), { summary: summaryOf, failed: hasFailed }));
  // What was chosen stays chosen: a newer backup is no reason to ask people again, one that is gone is.
  const chosen = typeof input.recoveryPoint === 'object' ? input.recoveryPoint : { id: plan.recoveryPoint.id };
  await run.gate('start', {
    recheck: async () => {
      // On the host that people approved: another one would plan for itself, and void what they decided.
      const before = plan;
      plan = await makePlan(chosen, before);
      // It is not drawn again, and stays what it was drawn from.
      if (before.drawn !== undefined) plan.drawn = before.drawn;
      run.plan(plan, bindingOf(plan));
      // Of a source that answers only now, or another one that does, more may be known, and what was wrong may be corrected.
      run.notVerified(plan.notVerified, { insteadOf: before.notVerified });
    },
  });
  const fence = await run.own({ title: 'drill', taskQueue: plan.taskQueue, input: { database, ...(plan.creates.access && { access: plan.creates.access, serverVersion: plan.recoveryPoint.serverVersion }) }, open: 'openDrillPlace', close: 'closeDrillPlace', prove: 'proveDrillAbsent' });
  const drill = { database, recoveryPointId: plan.recoveryPoint.id, fence, owner: run.owner };

  const copied = await run.step('copy', () => host.copyBackup({ drill, plan }), {
    summary: (copy) => copy.made ?? `${count(copy.files, 'file')}, ${bytes(copy.bytes)}, every hash verified; network ${copy.isolation.network}`,
  });
  const { network, mounts, reason, user } = copied.isolation;
  if (network === 'notIsolated') run.notVerified({ byDesign: [`the drill was not cut off from the network: ${reason}`] });
  else if (mounts === 'notIsolated') run.notVerified({ byDesign: [`production's files and sockets on this host were not hidden from the drill: ${reason}`] });
  if (user !== undefined) run.notVerified({ byDesign: [`the drill was not kept from production's processes and all of its files: ${user}`] });
  const replays: Replay[] = [];
  const compare = async (name: string) => {
    const compared = await run.step(`compare ${name}`, () => host.compareWithManifest({ drill, manifestId: plan.manifest?.id ?? '', database: name, depth: plan.depth }), {
      summary: comparedIn,
      failed: (result) => hasFailed(result.checks),
      skippable: { result: NOT_COMPARED, costs: `${name}: rows and definitions were not compared, since an operator skipped that` },
    });
    record(compared.checks);
    run.notVerified(compared.notVerified);
  };
  const sources = plan.manifest?.databases ?? [];
  const stops = plan.comparesWith === undefined;
  for (const source of stops ? sources : []) {
    replays.push(await run.step(`replay to the manifest of ${source.name}`, () => host.recoverToManifest({ drill, lsn: source.lsn }), { summary: ({ replayedLsn }) => `paused at ${replayedLsn}` }));
    await compare(source.name);
  }
  const recovered = await run.step('replay to the end', () => host.recoverToEnd({ drill }), { summary: (end) => `promoted at ${end.endLsn}` });
  // What cannot be stopped on the way is compared when it is there.
  for (const source of stops ? [] : sources) await compare(source.name);
  const own = await run.step('own checks', () => host.runChecks({ drill, plan, recovered, hasFailed: hasFailed(run.allChecks) }), { summary: summaryOf, failed: hasFailed, skippable: { result: [], costs: 'own checks: an operator skipped them' } });
  record(own);
  run.notVerified({ open: unanswered(own) });
  const probed = await run.step('application probe', () => host.probeApplication({ drill, plan, hasFailed: hasFailed(run.allChecks) }), { summary: summaryOf, failed: hasFailed, skippable: { result: [], costs: `${PROBE_CHECK}: an operator skipped it` } });
  record(probed);
  run.notVerified(plan.probe ? { open: unanswered(probed) } : { byDesign: [`${PROBE_CHECK}: none is configured, so no application has used the restored database`] });

  const loss = await run.step('measure', () => host.measureLoss({ drill, plan, recovered, declarationSkewSeconds: input.declaredAt === undefined ? skew.seconds : 0 }), { failed: ({ checks }) => hasFailed(checks) });
  record(loss.checks);
  // A second account of what was lost. What was restored is proven, or not, without it.
  run.notVerified({ byDesign: unanswered(loss.checks) });
  run.notVerified(loss.notVerified ?? {});
  const recovery = recoveryActuals({ plan, startedAtMs: run.startedAtMs, timeline: run.timeline, recovered, replays, loss, hostClockSkew: skew });
  run.measure(recovery);
  const { verdict, failure } = judge(plan, run.allChecks, run.openQuestions, recovery);
  run.verdict(verdict);
  const result: Omit<DrTestResult, 'evidence' | 'report'> = { verdict, rtaSeconds: recovery.rtaSeconds, judgedRtaSeconds: judgedRta(plan, recovery), rtaIs: plan.objectives.rtaIs, rpaSeconds: recovery.rpaSeconds };
  return failure ? { result, failure } : { result };
});
