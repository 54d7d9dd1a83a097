import type { KernelActivities } from '../../activities/kernel/kernel-activities.ts';

/** What the web UI shows beside the kernel's own activities, which belong to no step. */
const LABELS: Record<keyof KernelActivities, string> = {
  describeRun: 'read the configuration of this target',
  identifyDecision: 'look who decided',
  identifyUpdate: 'look who decided',
  identifyDecisions: 'look who decided',
  verifySignature: 'verify the signature of a decision',
  verifySignatures: 'verify the signatures of decisions',
  requestLock: 'ask for the lock of the target',
  findFormerLock: 'look what a former lock held',
  describeLock: 'look who holds the target',
  releaseLock: 'release the lock of the target',
  findDeadGuardians: 'look whether guardians still live',
  findFormerGuardian: 'look who undoes what was done before a reset',
  findRolledBack: 'look whether what the run rests on was undone',
  findUnguardedEnd: 'look whether nobody else writes the evidence',
  findOverdue: 'look whether the guardian said so',
  findRunEnd: 'look whether the run still lives',
  awaitRunEnd: 'watch until the run ends',
  endRun: 'end the run',
  readLedger: 'read from history what was done',
  writeEvidence: 'write evidence and report',
  writeEvidenceOfDeadRun: 'write the evidence, unless the run did',
};

/** A readable label for an activity outside of a step; its name where there is none. */
export function labelOf(activityType: string): string {
  return (LABELS as Record<string, string>)[activityType] ?? activityType;
}
