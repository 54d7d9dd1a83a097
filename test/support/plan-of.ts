import { join } from 'node:path';
import { archiveProvider } from '../../activities/archive-provider/archive-provider.ts';
import type { PlanDrillInput } from '../../activities/dr-test/drill-activities.ts';
import { planDrill } from '../../activities/dr-test/plan-drill.ts';
import type { RecoveryProvider, UsableManifest } from '../../activities/dr-test/provider.ts';
import { configurationSchema } from '../../contracts/configuration.ts';
import type { DrillPlan } from '../../contracts/dr-test.ts';

/** When the run starts and the disaster is declared, where nothing else is said. */
export const DECLARED = '2026-01-02T00:00:00.000Z';

/** What is asked for, the manifest that is found, and what the provider does otherwise. */
export type PlanningOptions = [over?: Partial<PlanDrillInput> & { hostAheadMs?: number }, usable?: UsableManifest, otherwise?: Partial<RecoveryProvider>];

/** Plans a drill of the backups below `root`; of their WAL nothing is asked. */
export async function planOf(root: string, ...[{ hostAheadMs = 0, ...over } = {}, usable, otherwise = {}]: PlanningOptions): Promise<DrillPlan> {
  // Nobody listens there: the source is silent.
  const configuration = configurationSchema.parse({ version: 1, databases: { shop: { connection: { host: '127.0.0.1', port: 1 }, provider: { kind: 'archive', repository: root, walDirectory: join(root, 'wal') } } } });
  const settings = configuration.databases['shop']!;
  const provider: RecoveryProvider = {
    ...archiveProvider({ settings, configuration }),
    supply: (_id, asOf, plannedLast = null) => Promise.resolve({ lastPiece: plannedLast, reachesUntil: asOf, pieces: 0, bytes: 0, manifest: () => Promise.resolve({ usable, passedOver: [] }) }),
    ...otherwise,
  };
  const input: PlanDrillInput = { database: 'shop', recoveryPoint: 'latest', depth: 'standard', declaredAt: DECLARED, startedAt: DECLARED, owner: { workflowId: 'dr-test/shop/1', firstExecutionRunId: 'run' }, leaseMs: 1, ...over };
  return planDrill(input, { settings, provider, resolvePassword: () => Promise.resolve(undefined), pastDrills: () => Promise.resolve([]), host: 'here', scheduledAt: new Date(DECLARED), hostAheadMs: () => Promise.resolve(hostAheadMs), signal: new AbortController().signal });
}
