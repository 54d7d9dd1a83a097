import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { DBInstance, RDSClient } from '@aws-sdk/client-rds';
import { vi } from 'vitest';
import { drillName } from '../../activities/rds-provider/drill-names.ts';
import { rdsProvider } from '../../activities/rds-provider/rds-provider.ts';
import type { ActivityProgress } from '../../activities/temporal/long-activity.ts';
import { databaseSchema } from '../../contracts/configuration.ts';
import type { DrillPlan } from '../../contracts/dr-test.ts';
import type { RdsProvider } from '../../contracts/rds.ts';
import { startAwsLab, type AwsLab } from './aws-lab.ts';
import { createSource, MASTER, rdsClient, withMaster } from './aws-lab-rds.ts';
import { prepareNetwork } from './rds-environment.ts';
import { directoryWithKey } from './directory-with-key.ts';
import { reachLab } from './reach-lab.ts';

/** A lab with an instance `prod` and a snapshot of it, and drills of that without a Temporal server. */
export interface RdsDrills {
  lab: AwsLab;
  rds: RDSClient;
  source: DBInstance;
  snapshot: string;
  /** A drill of its own each time. */
  drill: (over?: object) => Drill;
  stop: () => Promise<void>;
}

/** One drill of `prod`, of a run of its own, and what its activities are called with. */
export type Drill = ReturnType<ReturnType<typeof drillsOf>>;

/** Takes as long as it takes to make an instance. Points this process's AWS clients to the lab until `stop`. */
export async function startRdsDrills(): Promise<RdsDrills> {
  const lab = await startAwsLab({ log: console.log });
  reachLab(lab);
  const directory = await directoryWithKey('rds-drills-');
  const stop = async () => {
    vi.unstubAllEnvs();
    await rm(directory, { recursive: true, force: true });
    await lab.stop();
  };
  try {
    const rds = rdsClient(lab);
    const source = await createSource(rds, 'prod', { BackupRetentionPeriod: 1 });
    await withMaster(source, (client) => client.query('CREATE TABLE marks (at timestamptz)'));
    const snapshot = await lab.control.automatedSnapshot('prod');
    const { subnetGroup, securityGroup } = await prepareNetwork(lab, rds);
    const configured = {
      connection: { host: source.Endpoint!.Address, port: source.Endpoint!.Port, database: 'shop', user: MASTER.name },
      provider: { kind: 'rds', instance: 'prod', access: { region: lab.region }, repository: directory, drill: { subnetGroup, securityGroups: [securityGroup], passwordKeyFile: join(directory, 'key') } },
    };
    return { lab, rds, source, snapshot, drill: drillsOf(configured, snapshot), stop };
  } catch (error) {
    await stop();
    throw error;
  }
}

function drillsOf(configured: { provider: object }, snapshot: string) {
  let runs = 0;
  return (over: object = {}) => {
    const settingsWith = (further: object) => databaseSchema.parse({ ...configured, provider: { ...configured.provider, ...further } });
    const providerWith = (further: object) => {
      const settings = settingsWith(further);
      return rdsProvider({ settings, provider: settings.provider as RdsProvider, database: 'shop', earlierRestores: () => Promise.resolve([]), network: 'bestEffort' });
    };
    const provider = providerWith(over);
    const ref = { database: 'shop', recoveryPointId: snapshot, fence: 3, owner: { workflowId: `dr-test/shop/${runs += 1}`, firstExecutionRunId: 'a' } };
    /** What was said of the restore, with when. */
    const said: (ActivityProgress & { at: number })[] = [];
    const restore = (signal = new AbortController().signal) => provider.restore(ref, { creates: { leaseMs: 60_000 }, recoverTo: null, recoveryPoint: { takenAt: '2026-11-30T00:00:00.000Z', sizeBytes: 20 * 2 ** 30 } } as DrillPlan, { signal, onProgress: (progress) => said.push({ ...progress, at: Date.now() }) });
    /** Closes the place without waiting for as long between looks as the drill does. */
    const close = () => providerWith({ lookEvery: '100ms' }).closePlace(ref);
    return { provider, settings: settingsWith(over), ref, restore, close, said, name: drillName(ref) };
  };
}
