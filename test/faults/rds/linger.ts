import type { LabControl } from '../../support/aws-lab-control.ts';
import type { Point } from '../points.ts';

/** The call of RDS by which an activity is held at work, where it would be over too soon to be struck. */
const HELD_AT: Readonly<Record<string, string>> = {
  planDrill: 'DescribeDBInstances', checkDrillIsPossible: 'DescribeDBInstances', recoverToEnd: 'DescribeDBInstances', compareWithManifest: 'DescribeDBInstances', measureLoss: 'DescribeDBInstances',
  openDrillPlace: 'DescribeDBInstances', closeDrillPlace: 'DeleteDBInstance', proveDrillAbsent: 'DescribeDBSnapshots',
};
const SECONDS = 2;

/** Makes calls slow that an activity at this point waits for, until faults are switched off. What has its own time, as a restore does, keeps that. */
export async function lingerAt(control: LabControl, { activity }: Point): Promise<void> {
  const action = HELD_AT[activity ?? ''];
  if (action !== undefined) await control.fault({ kind: 'slow', action, seconds: SECONDS });
}
