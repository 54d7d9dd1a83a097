import { setTimeout as sleep } from 'node:timers/promises';
import type { LabFault } from '../../support/aws-lab-control.ts';
import type { Fault, Struck, Target } from '../fault.ts';
import { killed } from '../worker-faults.ts';
import { loseBeyondCopies } from './losses.ts';
import { useGroup } from './source-group.ts';
import type { RdsScene } from './rds-scene.ts';

type RdsFault = Fault<RdsScene>;
type RdsTarget = Target<RdsScene>;

/** How long a call of a run may let us wait for it. */
const CALL_WITHIN_MS = 90_000;
const MINUTE_S = 60;

/** Everything that a drill asks RDS to make, change or remove; and what has it ask for that, where the usual drill does not. */
const MUTATING: readonly { action: string; over?: Pick<RdsFault, 'input' | 'prepare'> }[] = [
  { action: 'CopyDBParameterGroup' },
  // Of a source with settings of its own the group is a copy; else it is new.
  { action: 'CreateDBParameterGroup', over: { prepare: withoutSettings } },
  { action: 'ModifyDBParameterGroup' },
  { action: 'RestoreDBInstanceToPointInTime' },
  { action: 'RestoreDBInstanceFromDBSnapshot', over: { input: ({ snapshot }) => ({ recoveryPoint: { id: snapshot } }) } },
  { action: 'ModifyDBInstance' },
  { action: 'DeleteDBInstance' },
  { action: 'DeleteDBParameterGroup' },
];

/** Its copy keeps no times of commits. */
async function withoutSettings(scene: RdsScene): Promise<() => Promise<void>> {
  await loseBeyondCopies(scene.rds.source);
  return useGroup(scene, 'default.postgres18');
}

/** Switches a fault of the lab on, lets the run go on, and waits until the fault has struck. Null where nothing met it. */
async function strikeCall({ environment: { rds: { lab } }, run }: RdsTarget, fault: LabFault): Promise<{ atMs: number; id: string } | null> {
  const id = await lab.control.fault(fault);
  run.drive();
  for (const end = Date.now() + CALL_WITHIN_MS; Date.now() < end; await sleep(5)) if (((await lab.control.faults()).find((one) => one.id === id)?.struck ?? 0) > 0) return { atMs: Date.now(), id };
  return null;
}

/** RDS has done it, and the worker hears nothing of it: it asks again. */
const replyLost = ({ action, over }: (typeof MUTATING)[number]): RdsFault => ({
  ...over, name: `reply to ${action} lost`, expected: 'recovered', retried: false, strikes: isFirst,
  async strike(target): Promise<Struck | null> {
    const met = await strikeCall(target, { kind: 'lostReply', action, calls: 1 });
    return met && { atMs: met.atMs, isCertain: true, proof: `${action} was heeded and its reply lost` };
  },
});

/** RDS has done it, and the worker that asked is dead before anybody can tell it. */
const replyLostWorkerKilled = ({ action, over }: (typeof MUTATING)[number]): RdsFault => ({
  ...over, name: `reply to ${action} lost, worker killed`, expected: 'recovered', retried: false, strikes: isFirst,
  async strike(target): Promise<Struck | null> {
    const { environment } = target;
    const met = await strikeCall(target, { kind: 'lostReply', action });
    const atMs = met && await killed(target);
    if (!met || atMs === null) return null;
    await environment.rds.lab.control.clearFaults(met.id);
    environment.worker = await environment.startWorker();
    return { atMs, isCertain: true, proof: `${action} was heeded, its reply lost and the worker killed` };
  },
});

/** All of RDS refuses everything for a minute of everybody's time: the lab's clock is the worker's. */
const throttled: RdsFault = {
  name: 'RDS throttled for a minute', expected: 'recovered', retried: false,
  strikes: ({ where, activity }) => (where === 'before' && activity !== 'recordEvidence') || (where === 'during' && activity !== null),
  async strike(target): Promise<Struck | null> {
    const { lab } = target.environment.rds;
    const met = await strikeCall(target, { kind: 'throttle', action: '*', forSeconds: MINUTE_S });
    if (!met) return null;
    return {
      atMs: met.atMs, isCertain: true, proof: 'throttled for 60 s',
      async relieve() {
        const struck = (await lab.control.faults()).find(({ id }) => id === met.id)?.struck ?? 0;
        await lab.control.clearFaults(met.id);
        return struck > 1 ? [] : [`${struck} calls were throttled`];
      },
    };
  },
};

function isFirst({ where, step }: { where: string; step: string }): boolean {
  return where === 'before' && step === 'plan';
}

/** A lost reply for each change that a drill asks of RDS, with its worker alive and dead, and a minute in which everything is throttled. */
export const AWS_FAULTS: readonly RdsFault[] = [...MUTATING.map(replyLost), ...MUTATING.map(replyLostWorkerKilled), throttled];
