import type { Point } from '../points.ts';
import type { Suite } from '../suite.ts';
import { runTerminated, workerKilled, workerStopped, workerStoppedRunTerminated } from '../worker-faults.ts';
import { AWS_FAULTS } from './aws-faults.ts';
import { NAME_TAKEN } from './name-taken.ts';
import { startRdsScene, type RdsScene } from './rds-scene.ts';

/** Where guardians are at work; their activities are in no step of the run. */
const OF_GUARDIAN: readonly Point[] = [
  { where: 'during', step: 'waiting for the lock', activity: 'openDrillPlace', label: 'opening the place' },
  { where: 'during', step: 'tearing down', activity: 'proveDrillAbsent', label: 'proving absence' },
];

const anywhere = (): boolean => true;
/** Who is inside has something that it may go on with when it wakes. */
const atWork = ({ where, activity }: Point): boolean => where === 'inside' || (where === 'during' && activity === 'openDrillPlace');

/** dr-test on RDS: a restore is slow, remote, and goes on without whoever asked for it. */
export const DR_TEST_RDS: Suite<RdsScene> = {
  start: startRdsScene,
  faults: [workerKilled(anywhere), workerStopped(anywhere), workerStoppedRunTerminated(atWork), runTerminated(anywhere), ...AWS_FAULTS, ...NAME_TAKEN],
  morePoints: OF_GUARDIAN,
  sample: [
    ['reply to RestoreDBInstanceToPointInTime lost, worker killed', 'before', 'planDrill'], ['run terminated', 'inside', 'copyBackup'],
    ['reply to DeleteDBInstance lost', 'before', 'planDrill'], ["a stranger's RDS instance has the drill's name", 'before', 'checkDrillIsPossible'],
  ],
};
