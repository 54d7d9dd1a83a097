import { setTimeout as sleep } from 'node:timers/promises';
import { ModifyDBInstanceCommand } from '@aws-sdk/client-rds';
import { untilModified } from '../../support/aws-lab-rds.ts';
import type { RdsScene } from './rds-scene.ts';

/** Gives the source another parameter group, as its owner may; what it answers gives it the one back that it had. Its server goes on with its settings. */
export async function useGroup({ rds: { rds, lab } }: RdsScene, name: string): Promise<() => Promise<void>> {
  const change = async (group: string) => {
    await rds.send(new ModifyDBInstanceCommand({ DBInstanceIdentifier: 'shop-prod', DBParameterGroupName: group, ApplyImmediately: true }));
    // For a moment it says that it is available, and nothing is pending: a group is not among what is.
    await sleep((await lab.control.durations()).beforeModify + 300);
    await untilModified(rds, 'shop-prod');
  };
  await change(name);
  return () => change('shop');
}
