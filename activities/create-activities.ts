import { createKernelActivities, type KernelDependencies } from './kernel/create-kernel-activities.ts';
import { resultsOf } from './kernel/results-of.ts';
import type { KernelActivities } from './kernel/kernel-activities.ts';
import type { BackupActivities } from './backup/backup-activities.ts';
import { createBackupActivities } from './backup/create-backup-activities.ts';
import type { DatabaseSnapshotActivities } from './database-snapshot/snapshot-activities.ts';
import { createSnapshotActivities } from './database-snapshot/create-snapshot-activities.ts';
import { createProviders } from './create-providers.ts';
import type { DatabaseDependencies, DrillDependencies } from './dr-test/dependencies.ts';
import { createDrillActivities } from './dr-test/create-drill-activities.ts';
import { directoryStore } from './evidence/directory-store.ts';
import { pastDrills } from './evidence/past-drills.ts';
import { pastSteps } from './evidence/past-steps.ts';
import type { DrillActivities } from './dr-test/drill-activities.ts';
import { createNotifyActivities, type NotifyDependencies } from './notify/create-notify-activities.ts';
import type { NotifyActivities } from './notify/notify-activities.ts';

/** All that activities need of the worker; none of them reads the environment or the configuration file by itself. */
export type ActivityDependencies = KernelDependencies & DatabaseDependencies & Pick<DrillDependencies, 'probeEnvironment'> & Pick<NotifyDependencies, 'resolveSecret'>;

/** Every activity, by name. */
export function createActivities(dependencies: ActivityDependencies): KernelActivities & DrillActivities & BackupActivities & DatabaseSnapshotActivities & NotifyActivities {
  const { configuration, client, resolveSecret } = dependencies;
  const evidence = directoryStore(configuration.evidence.directory);
  const drills: DrillDependencies = { ...dependencies, providerOf: createProviders(configuration, (target) => pastSteps(evidence, { runbook: 'dr-test', target, step: 'copy' })), pastDrills: (database) => pastDrills(evidence, database) };
  return { ...createKernelActivities(dependencies), ...createDrillActivities(drills), ...createBackupActivities(dependencies), ...createSnapshotActivities({ configuration, earlierSteps: (target, step) => pastSteps(evidence, { runbook: 'database-snapshot', target, step }), resultsOf: (owner, activity) => resultsOf(client, owner, activity) }), ...createNotifyActivities({ configuration, namespace: client.options.namespace, resolveSecret }) };
}
