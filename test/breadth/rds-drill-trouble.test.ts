import { setTimeout as sleep } from 'node:timers/promises';
import { CreateDBParameterGroupCommand, DeleteDBParameterGroupCommand, DescribeDBInstancesCommand, ModifyDBInstanceCommand, ModifyDBParameterGroupCommand } from '@aws-sdk/client-rds';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { rdsClient as adapterClient } from '../../activities/aws/rds-client.ts';
import { withClient } from '../../activities/postgres/source.ts';
import { createProviders } from '../../activities/create-providers.ts';
import { closePlace } from '../../activities/rds-provider/place.ts';
import type { Configuration } from '../../contracts/configuration.ts';
import type { RdsProvider } from '../../contracts/rds.ts';
import { untilModified } from '../support/aws-lab-rds.ts';
import { type Drill, type RdsDrills, startRdsDrills } from '../support/rds-drills.ts';

/** What AWS does to a drill that says nothing of the backup, and what a copy is made with. */
let drills: RdsDrills;
beforeAll(async () => { drills = await startRdsDrills(); });
afterAll(() => drills.stop());
const QUICK = { restore: 300, beforeModify: 50, modify: 100, delete: 100 };
beforeEach(async () => {
  await drills.lab.control.clearFaults();
  await drills.lab.control.clearCalls();
  await drills.lab.control.durations(QUICK);
});

const quick = (drill: object = {}) => drills.drill({ lookEvery: '100ms', drill: { ...(drills.drill().settings.provider as RdsProvider).drill, patience: '4h', ...drill } });
const answered = async (action: string) => (await drills.lab.control.calls()).filter((call) => call.action === action).map(({ status, errorCode }) => errorCode ?? status);
const copyOf = async ({ name }: Drill) => (await drills.rds.send(new DescribeDBInstancesCommand({ DBInstanceIdentifier: name }))).DBInstances![0]!;
const settingOf = async ({ provider, ref }: Drill, setting: string) => withClient((await provider.address(ref))('shop'), async (client) => (await client.query<{ value: string }>('SELECT current_setting($1) AS value', [setting])).rows[0]?.value);

/** Opens a place, and closes it whatever happens. */
async function withPlace(drill: Drill, work: () => Promise<void>): Promise<void> {
  await drill.provider.openPlace(drill.ref);
  try {
    await work();
  } finally {
    await drills.lab.control.clearFaults();
    await drills.lab.control.durations(QUICK);
    await drill.close();
  }
}

describe('the password of a copy', () => {
  it('is set once though the reply was lost, and the copy busy with it when it was asked for again', async () => {
    const drill = quick();
    await withPlace(drill, async () => {
      await drills.lab.control.durations({ beforeModify: 0, modify: 3_000 });
      await drills.lab.control.fault({ kind: 'lostReply', action: 'ModifyDBInstance', calls: 1 });
      await drill.restore();
      expect(await answered('ModifyDBInstance')).toEqual([0, 'InvalidDBInstanceState']);
    });
  });

  it('is asked for again where the copy was busy with something else', async () => {
    const drill = quick();
    await withPlace(drill, async () => {
      const refusedOnce = await drills.lab.control.fault({ kind: 'denied', action: 'ModifyDBInstance', calls: 1 });
      await expect(drill.restore()).rejects.toMatchObject({ type: 'CONFIGURATION' });
      await drills.lab.control.clearFaults(refusedOnce);
      await sleep(3_500);
      await drills.lab.control.durations({ beforeModify: 0, modify: 4_000 });
      await drills.rds.send(new ModifyDBInstanceCommand({ DBInstanceIdentifier: drill.name, PreferredMaintenanceWindow: 'sun:05:00-sun:06:00', ApplyImmediately: true }));
      // As it was before that: available.
      await drills.lab.control.fault({ kind: 'staleReads', action: 'DescribeDBInstances', seconds: 3, forSeconds: 2.5 });
      await drill.restore();
      const answers = await answered('ModifyDBInstance');
      expect(answers).toContain('InvalidDBInstanceState');
      expect(answers.at(-1)).toBe(200);
    });
  });
});

describe('a restore that does not end', () => {
  it.each([
    ['incompatible-network', 'PREFLIGHT'], ['incompatible-parameters', 'PREFLIGHT'], ['storage-full', 'DISK_FULL'], ['incompatible-restore', 'RECOVERY_FAILED'], ['failed', 'RECOVERY_FAILED'],
  ] as const)('well, but %s, is %s', async (status, type) => {
    const drill = quick();
    await withPlace(drill, async () => {
      await drills.lab.control.failNextRestore({ status, reason: 'of its own' });
      await expect(drill.restore()).rejects.toMatchObject({ type, nonRetryable: true, message: expect.stringContaining(`the copy is ${status} (`) as string });
    });
  });

  it('in time says nothing of the backup', async () => {
    const drill = quick({ patience: '1s' });
    await withPlace(drill, async () => {
      await drills.lab.control.durations({ restore: 4_000 });
      await expect(drill.restore()).rejects.toMatchObject({ type: 'UNAVAILABLE', nonRetryable: true, message: expect.stringContaining('raise provider.drill.patience') as string });
    });
  });
});

describe('the settings of a copy', () => {
  const withGroup = async (libraries: string, work: () => Promise<void>) => {
    await drills.rds.send(new CreateDBParameterGroupCommand({ DBParameterGroupName: 'cron', DBParameterGroupFamily: 'postgres18', Description: 'as production has it' }));
    await drills.rds.send(new ModifyDBParameterGroupCommand({ DBParameterGroupName: 'cron', Parameters: [{ ParameterName: 'shared_preload_libraries', ParameterValue: libraries, ApplyMethod: 'pending-reboot' }] }));
    const put = async (DBParameterGroupName: string) => {
      await drills.rds.send(new ModifyDBInstanceCommand({ DBInstanceIdentifier: 'prod', DBParameterGroupName, ApplyImmediately: true }));
      await sleep(200);
      await untilModified(drills.rds, 'prod');
    };
    await put('cron');
    try {
      await work();
    } finally {
      await put('default.postgres18');
      await drills.rds.send(new DeleteDBParameterGroupCommand({ DBParameterGroupName: 'cron' }));
    }
  };

  it("load no library of the source's that does something by itself, and start no subscriptions", async () => {
    await withGroup('pg_stat_statements,pg_cron', async () => {
      const drill = quick();
      await withPlace(drill, async () => {
        await drill.restore();
        expect([await settingOf(drill, 'shared_preload_libraries'), await settingOf(drill, 'max_logical_replication_workers')]).toEqual(['pg_stat_statements', '0']);
      });
    });
  });

  it('load what is named for RDS', async () => {
    const drill = quick({ preloadLibraries: ['auto_explain'] });
    await withPlace(drill, async () => {
      await drill.restore();
      expect(await settingOf(drill, 'shared_preload_libraries')).toBe('pg_stat_statements,auto_explain');
    });
  });

  it('load nothing that is named for servers of our own, which RDS may not have', async () => {
    const drill = quick();
    const configuration = { drills: { network: 'bestEffort', preloadLibraries: ['timescaledb'] }, databases: { shop: drill.settings } } as unknown as Configuration;
    await expect(createProviders(configuration, () => Promise.resolve([]))('shop').openPlace(drill.ref)).resolves.toBeUndefined();
    await drill.close();
  });

  it.each([
    ['max_logical_replication_workers', '4', 'max_logical_replication_workers is 4, and not 0'],
    ['shared_preload_libraries', 'pg_stat_statements,auto_explain', 'it has loaded auto_explain'],
  ])('are looked at in the copy before anything else: %s', async (ParameterName, ParameterValue, said) => {
    const drill = quick();
    await withPlace(drill, async () => {
      await drills.rds.send(new ModifyDBParameterGroupCommand({ DBParameterGroupName: drill.name, Parameters: [{ ParameterName, ParameterValue, ApplyMethod: 'pending-reboot' }] }));
      await expect(drill.restore()).rejects.toMatchObject({ type: 'PREFLIGHT', nonRetryable: true, message: expect.stringContaining(said) as string });
    });
  });
});

describe('the place of a drill', () => {
  it('is its own though the reply to making its group was lost, and reads do not show that yet', async () => {
    const drill = quick();
    await drills.lab.control.fault({ kind: 'lostReply', action: 'CreateDBParameterGroup', calls: 1 });
    await drills.lab.control.fault({ kind: 'staleReads', action: 'DescribeDBParameterGroups', seconds: 1, forSeconds: 2 });
    await withPlace(drill, () => Promise.resolve());
    expect((await answered('CreateDBParameterGroup'))).toEqual([0, 'DBParameterGroupAlreadyExists']);
  });

  it("is not somebody else's group of that name", async () => {
    const drill = quick();
    await drills.rds.send(new CreateDBParameterGroupCommand({ DBParameterGroupName: drill.name, DBParameterGroupFamily: 'postgres18', Description: 'of somebody' }));
    await expect(drill.provider.openPlace(drill.ref)).rejects.toMatchObject({ type: 'FENCED', nonRetryable: true });
    await drills.rds.send(new DeleteDBParameterGroupCommand({ DBParameterGroupName: drill.name }));
  });

  it('is closed for as long as that may take, and no longer than whoever asked for it waits', async () => {
    const drill = quick();
    await withPlace(drill, async () => {
      await drill.restore();
      await drills.lab.control.durations({ delete: 12_000 });
      const began = performance.now();
      const provider = drill.settings.provider as RdsProvider;
      await expect(closePlace(await adapterClient(provider.access), provider, { ...drill.ref, database: 'shop' }, { withinMs: 1_000 })).rejects.toMatchObject({ type: 'UNAVAILABLE', nonRetryable: false });
      const over = new Error('over');
      await expect(drill.provider.closePlace(drill.ref, AbortSignal.timeout(500))).rejects.toMatchObject({ name: expect.stringMatching(/Abort|Timeout/) as string });
      expect(performance.now() - began).toBeLessThan(9_000);
      await expect(drill.provider.closePlace(drill.ref, AbortSignal.abort(over))).rejects.toBe(over);
    });
  });
});

it('an instant is asked for as it was given, and judged so: RDS keeps the time in which commits are stamped', () => {
  const { provider } = quick();
  expect([provider.takesInstantsAsGiven, provider.reaches?.('2026-11-21T12:05:00.700Z')]).toEqual([true, '2026-11-21T12:05:00.000Z']);
});

describe('the storage of a copy', () => {
  it("is the source's, where nothing else is configured", async () => {
    expect(drills.source.StorageType).toBe('gp2');
    const drill = quick();
    await withPlace(drill, async () => {
      const { made } = await drill.restore();
      expect((await copyOf(drill)).StorageType).toBe('gp2');
      expect(made).toContain('20 GiB of gp2');
    });
  });

  it('is what is configured', async () => {
    const drill = quick({ storage: { type: 'gp3' } });
    await withPlace(drill, async () => {
      const { made } = await drill.restore();
      expect((await copyOf(drill)).StorageType).toBe('gp3');
      expect(made).toContain('20 GiB of gp3');
    });
  });
});
