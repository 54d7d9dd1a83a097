import type { DrillPlan } from '../../contracts/dr-test.ts';

/**
 * What people approve of a drill's plan. Left out is what may change while they think and changes nothing of what will be
 * done: the prediction and what it will cost, what was drawn from what, the clocks, where the source stands.
 */
export function bindingOf(plan: DrillPlan): Record<string, unknown> {
  const { database, taskQueue, depth, provider, recoveryPoint, recoverTo, declaredAt, archive, manifest, creates, objectives, checks, probe, heartbeat, allowNotProven } = plan;
  return {
    'database': database, 'host': taskQueue, 'depth': depth, 'provider': provider, 'recovery point': recoveryPoint, 'instant to recover to': recoverTo, 'declared at': declaredAt, 'archive': archive, 'manifest': manifest,
    'what is created': creates, 'objectives': objectives, 'own checks': checks, 'application probe': probe, 'heartbeat': heartbeat, 'allowNotProven': allowNotProven,
  };
}
