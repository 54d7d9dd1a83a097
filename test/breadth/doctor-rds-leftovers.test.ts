import { DescribeDBParameterGroupsCommand, ListTagsForResourceCommand } from '@aws-sdk/client-rds';
import { afterAll, beforeAll, expect, it } from 'vitest';
import type { Configuration } from '../../contracts/configuration.ts';
import type { DrillPlan } from '../../contracts/dr-test.ts';
import { drillName } from '../../activities/rds-provider/drill-names.ts';
import { examineRdsLeftovers } from '../../scripts/cli/doctor-rds-leftovers.ts';
import { startKernelEnvironment, type KernelEnvironment } from '../support/kernel-environment.ts';
import { startRdsDrills, type RdsDrills } from '../support/rds-drills.ts';
import { acting, startToy } from '../support/toy-runs.ts';

/** What `runbook doctor` says of what drills left in AWS, where no worker sweeps. */
let environment: KernelEnvironment;
let drills: RdsDrills;
beforeAll(async () => {
  [environment, drills] = await Promise.all([startKernelEnvironment(), startRdsDrills()]);
  await environment.startWorker();
});
afterAll(() => Promise.all([environment.stop(), drills.stop()]));

it('names what is past its time and guarded by nobody, with the command that removes it, and leaves alone what has a guardian or time left', async () => {
  const { provider, settings, ref, close, name } = drills.drill({ lookEvery: '100ms' });
  const look = async (client = environment.client) => (await examineRdsLeftovers({ client }, { databases: { shop: settings } } as unknown as Configuration)).map(({ outcome, detail, todo }) => [outcome, detail, todo]);
  expect(await look()).toEqual([['ok', `there is none in ${drills.lab.region}`, null]]);

  await provider.openPlace({ ...ref, leaseMs: 3_600_000 });
  expect(await look()).toEqual([['ok', `there is none in ${drills.lab.region}; of 1 that are there a guardian sees to each, or there is time left`, null]]);
  await provider.closePlace(ref);

  // As a guardian that was ended by force leaves it.
  await provider.openPlace({ ...ref, leaseMs: -1_000 });
  await provider.restore(ref, { creates: { leaseMs: -1_000 }, recoverTo: null, recoveryPoint: { takenAt: '2026-11-30T00:00:00.000Z', sizeBytes: 20 * 2 ** 30 } } as DrillPlan, { signal: new AbortController().signal, onProgress: () => undefined });
  const left = (kind: string, state: string) => expect.stringMatching(new RegExp(`^the ${kind} ${name}, of a drill of shop, is still there in ${drills.lab.region}${state}, and had to be gone by \\S+Z; this server knows no guardian that sees to it$`)) as string;
  expect(await look()).toEqual([
    ['problem', left('RDS instance', ' \\(available\\)'), `remove it: aws rds delete-db-instance --region ${drills.lab.region} --db-instance-identifier ${name} --skip-final-snapshot --delete-automated-backups`],
    ['problem', left('parameter group', ''), `remove it, once no instance has it: aws rds delete-db-parameter-group --region ${drills.lab.region} --db-parameter-group-name ${name}`],
  ]);
  await close();

  const run = await startToy(environment, { stallMs: 60_000 });
  await acting(run);
  const owner = { workflowId: run.handle.workflowId, firstExecutionRunId: run.handle.firstExecutionRunId };
  await provider.openPlace({ ...ref, owner, leaseMs: -1_000 });
  expect(await look()).toEqual([['warning', expect.stringMatching(/; its guardian lives$/), 'look at what that waits for, in the web UI or with: runbook runs']]);
  await provider.closePlace({ ...ref, owner });
  await run.handle.terminate();

  // Of a group that somebody gave such a name nothing is said, and nothing is said at all where nobody knows what is guarded.
  expect(await look({ workflow: { list: () => { throw new Error('no visibility here'); } } } as unknown as typeof environment.client)).toEqual([['skipped', 'the server does not say which runs are guarded: no visibility here', null]]);
});

it('the place of a drill is of the version that is restored, and is made where it was planned only', async () => {
  const { provider, settings, ref } = drills.drill({ lookEvery: '100ms' });
  const group = async () => (await drills.rds.send(new DescribeDBParameterGroupsCommand({ DBParameterGroupName: drillName(ref) }))).DBParameterGroups?.[0];
  await provider.openPlace({ ...ref, serverVersion: '16.4', leaseMs: 60_000 });
  const made = await group();
  expect(made?.DBParameterGroupFamily).toBe('postgres16');
  const { TagList } = await drills.rds.send(new ListTagsForResourceCommand({ ResourceName: made?.DBParameterGroupArn }));
  expect(TagList?.map(({ Key }) => Key)).toContain('durable-runbooks:expires');
  // What is restored is of 18 here, and RDS takes no group of another family.
  const plan = { creates: { leaseMs: 60_000 }, recoverTo: null, recoveryPoint: { takenAt: '2026-11-30T00:00:00.000Z', sizeBytes: 20 * 2 ** 30 } } as DrillPlan;
  const restore = (over: object) => provider.restore(ref, { ...plan, ...over } as DrillPlan, { signal: new AbortController().signal, onProgress: () => undefined });
  await expect(restore({})).rejects.toMatchObject({ message: expect.stringContaining('Please use a Parameter Group with DBParameterGroupFamily postgres18') as string });
  await provider.closePlace(ref);

  const { access } = settings.provider as { access: { region: string } };
  const elsewhere = { ...access, region: 'eu-west-9' };
  const refused = { type: 'CONFIGURATION', nonRetryable: true, message: expect.stringContaining(`the copy was planned for eu-west-9, and the configuration names ${access.region} by now`) as string };
  await expect(provider.openPlace({ ...ref, access: elsewhere })).rejects.toMatchObject(refused);
  await expect(restore({ creates: { leaseMs: 60_000, access: elsewhere } })).rejects.toMatchObject(refused);
  await provider.openPlace({ ...ref, serverVersion: '18.1', access });
  expect((await group())?.DBParameterGroupFamily).toBe('postgres18');
  await provider.closePlace(ref);
});
