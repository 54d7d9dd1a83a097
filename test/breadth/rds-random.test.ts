import { CreateDBSnapshotCommand } from '@aws-sdk/client-rds';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { planDrill } from '../../activities/dr-test/plan-drill.ts';
import { withClient } from '../../activities/postgres/source.ts';
import { archiveUntilNow, createSource, MASTER, untilSnapshot, withMaster } from '../support/aws-lab-rds.ts';
import { type Drill, type RdsDrills, startRdsDrills } from '../support/rds-drills.ts';

/** What `recoveryPoint: random` draws from a lab RDS, what is the latest of it, and which instants it reaches. */
let drills: RdsDrills;
beforeAll(async () => { drills = await startRdsDrills(); });
afterAll(() => drills.stop());

function plan({ provider, settings, ref }: Drill, recoveryPoint: 'random' | 'latest' | { time: string } = 'random', declaredAt = new Date().toISOString()) {
  const now = new Date().toISOString();
  return planDrill({ database: 'shop', recoveryPoint, depth: 'standard', declaredAt, startedAt: now, owner: ref.owner, leaseMs: 60_000 }, {
    settings, provider, resolvePassword: () => Promise.resolve(MASTER.password), pastDrills: () => Promise.resolve([]), host: 'h', signal: new AbortController().signal, scheduledAt: new Date(), hostAheadMs: () => Promise.resolve(0),
  });
}

it('draws seconds and snapshots, restores what it drew, and says what that was drawn from', async () => {
  for (let mark = 0; mark < 8; mark += 1) {
    await withMaster(drills.source, (client) => client.query('INSERT INTO marks SELECT clock_timestamp()'));
    await sleep(500);
  }
  await drills.lab.control.archiveNow('prod');
  const plans = await Promise.all(Array.from({ length: 12 }, async () => { const drill = drills.drill({ lookEvery: '200ms' }); return { drill, plan: await plan(drill) }; }));
  const { drill, plan: drawn } = plans.find(({ plan: { recoveryPoint } }) => recoveryPoint.id.startsWith('time.'))!;
  expect(plans.map(({ plan: { recoveryPoint } }) => recoveryPoint.id)).toContain(drills.snapshot);
  expect(drawn.drawn).toMatch(/^the second \S+, drawn from \d+ seconds from \S+ to \S+ and \d snapshots? from \S+ to \S+$/);
  expect(drawn.drawn).toContain(drawn.recoveryPoint.takenAt);
  await drill.provider.openPlace(drill.ref);
  const ref = { ...drill.ref, recoveryPointId: drawn.recoveryPoint.id };
  await drill.provider.restore(ref, drawn, { signal: new AbortController().signal, onProgress: () => undefined });
  const copy = (await drill.provider.address(ref))('shop');
  const until = new Date(drawn.recoveryPoint.takenAt);
  const count = 'SELECT count(*)::int AS marks FROM public.marks WHERE at < $1';
  const inSource = await withMaster(drills.source, async (client) => (await client.query<{ marks: number }>(count, [until])).rows[0]?.marks ?? 0);
  // The window opens before the table was made.
  const inCopy = await withClient(copy, async (client) => (await client.query<{ marks: number }>('SELECT count(*)::int AS marks FROM public.marks')).rows[0]?.marks ?? 0).catch((error: { code?: string }) => { if (error.code === '42P01') return 0; throw error; });
  // What was committed in that very second may be there or not.
  expect(Math.abs(inCopy - inSource)).toBeLessThanOrEqual(3);
  await drill.close();
});

it('draws a snapshot where RDS keeps no seconds, and refuses where nothing is in the window', async () => {
  await createSource(drills.rds, 'unkept', { BackupRetentionPeriod: 0 });
  await expect(plan(drills.drill({ instance: 'unkept' }))).rejects.toMatchObject({ type: 'NOT_FOUND', message: expect.stringContaining('There is nothing to draw a recovery point of unkept from: no second and no snapshot') as string });
  await drills.rds.send(new CreateDBSnapshotCommand({ DBInstanceIdentifier: 'unkept', DBSnapshotIdentifier: 'by-hand' }));
  await untilSnapshot(drills.rds, 'by-hand');
  expect(await plan(drills.drill({ instance: 'unkept' }))).toMatchObject({ recoveryPoint: { id: 'by-hand' }, drawn: expect.stringMatching(/^the snapshot by-hand of \S+, drawn from no second and 1 snapshot /) as string });
  await drills.lab.control.backDate('by-hand', new Date(Date.now() - 3 * 86_400_000));
  await expect(plan(drills.drill({ instance: 'unkept', randomWithin: '2d' }))).rejects.toMatchObject({ type: 'NOT_FOUND', message: expect.stringContaining('make provider.randomWithin longer') as string });
  expect((await plan(drills.drill({ instance: 'unkept', randomWithin: '4d' }))).recoveryPoint.id).toBe('by-hand');
});

it('takes the second of the declaration for the latest where RDS archived past it before it was asked, and says that the loss is the least', async () => {
  await sleep(1_500);
  const declaredAt = new Date().toISOString();
  await archiveUntilNow(drills, 'prod');
  const { recoveryPoint, notVerified } = await plan(drills.drill({ lookEvery: '200ms' }), 'latest', declaredAt);
  expect(recoveryPoint).toMatchObject({ id: expect.stringMatching(/^time\./) as string, takenAt: `${declaredAt.slice(0, 19)}.000Z` });
  expect(notVerified.byDesign).toContainEqual(expect.stringContaining(`what a disaster at ${declaredAt} would have lost: when RDS was asked, it had archived past that`));
  const asked = await plan(drills.drill({ lookEvery: '200ms' }), 'latest', new Date(Date.now() + 4_000).toISOString());
  expect(asked.notVerified.byDesign.join()).not.toContain('would have lost');
});

it('restores any second up to the last one that RDS can, also one between the first one that it keeps and the next snapshot; but the latest is a snapshot where that is asked for', async () => {
  await sleep(3_000);
  await archiveUntilNow(drills, 'prod');
  const time = new Date(Date.now() - 2_000).toISOString();
  const recoverTo = { time: `${time.slice(0, 19)}.000Z` };
  expect(await plan(drills.drill(), { time })).toMatchObject({ recoverTo });
  // Older than all seconds that RDS keeps: from now on the first of them is the newest that is complete by that instant.
  const snapshots = (await drills.drill().provider.list(new Date())).points.filter(({ id }) => !id.startsWith('time.'));
  for (const [index, { id }] of snapshots.entries()) await drills.lab.control.backDate(id, new Date(Date.now() - (3 + snapshots.length - index) * 3_600_000));
  expect(await plan(drills.drill(), { time })).toMatchObject({ recoverTo, recoveryPoint: { id: expect.stringMatching(/^time\./) as string } });
  expect(await plan(drills.drill({ latest: 'snapshot' }), { time })).toMatchObject({ recoverTo });
  await expect(plan(drills.drill(), { time: new Date(Date.now() + 2_000).toISOString() }, new Date(Date.now() + 4_000).toISOString())).rejects.toMatchObject({ type: 'NOT_FOUND' });
  expect((await plan(drills.drill({ latest: 'snapshot' }), 'latest')).recoveryPoint.id).toBe(snapshots.at(-1)?.id);
  expect((await plan(drills.drill(), 'latest')).recoveryPoint.id).toMatch(/^time\./);
});
