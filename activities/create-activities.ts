import { createKernelActivities, type KernelDependencies } from './kernel/create-kernel-activities.ts';
import type { KernelActivities } from './kernel/kernel-activities.ts';
import type { BackupActivities } from './dr-test/backup-activities.ts';
import { createBackupActivities } from './dr-test/create-backup-activities.ts';
import type { DatabaseDependencies } from './dr-test/dependencies.ts';
import { createDrillActivities } from './dr-test/create-drill-activities.ts';
import type { DrillActivities } from './dr-test/drill-activities.ts';

export type ActivityDependencies = KernelDependencies & DatabaseDependencies;

/** Every activity, by name. */
export function createActivities(dependencies: ActivityDependencies): KernelActivities & DrillActivities & BackupActivities {
  return { ...createKernelActivities(dependencies), ...createDrillActivities(dependencies), ...createBackupActivities(dependencies) };
}
