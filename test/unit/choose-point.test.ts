import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Client, Connection } from '@temporalio/client';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { PlanDrillInput } from '../../activities/dr-test/drill-activities.ts';
import { measureHostAhead } from '../../activities/dr-test/host-clock.ts';
import type { UsableManifest } from '../../activities/dr-test/provider.ts';
import { backupId } from '../../activities/kernel/names.ts';
import { bindingOf } from '../../workflows/dr-test/binding.ts';
import { describedBackup, publishDescription } from '../support/described-backup.ts';
import { DECLARED, planOf, type PlanningOptions } from '../support/plan-of.ts';

let root: string;
let backups: string;
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'drb-choose-'));
  backups = join(root, 'backups');
  mkdirSync(backups);
  publishDescription(backups, describedBackup());
});
afterEach(() => rmSync(root, { recursive: true, force: true }));

/** How there may be no backup, and what is said: the file system of a host that was just lost is not mounted sooner than that there was never one. */
const ADVICE = 'look whether its file system is mounted, and whether provider.repository is the right directory; where this database was never backed up, take a first backup with: runbook start backup';
const WITHOUT_BACKUP: [string, () => void, () => string][] = [
  ['their directory is not there', () => rmSync(backups, { recursive: true }), () => `there is no directory ${backups}; ${ADVICE}`],
  ['their directory is empty', () => rmSync(join(backups, 'b1'), { recursive: true }), () => `${backups} holds none at all; ${ADVICE}`],
];

const plan = (...how: PlanningOptions) => planOf(root, ...how);

describe('a disaster that was declared earlier', () => {
  beforeEach(() => publishDescription(backups, describedBackup({ id: 'b2', startedAt: '2026-01-01T23:00:00.000Z', stoppedAt: '2026-01-01T23:30:00.000Z', publishedAt: '2026-01-02T00:00:00.001Z' })));

  it('gets the newest point that was published by then, not one that was still waiting for its manifest', async () => {
    expect((await plan()).recoveryPoint.id).toBe('b1');
    expect((await plan({ recoveryPoint: { time: '2026-01-01T23:45:00Z' } })).recoveryPoint.id).toBe('b1');
    expect((await plan({ declaredAt: '2026-01-02T00:00:00.001Z' })).recoveryPoint.id).toBe('b2');
  });

  it('is told when the first point was published that it could have been given', async () => {
    await expect(plan({ declaredAt: '2026-01-01T00:02:00Z' })).rejects.toMatchObject({ type: 'NOT_FOUND', message: expect.stringMatching(/no recovery point yet.*b1, was published at 2026-01-01T00:03:00\.000Z/) as string });
  });
});

describe('a disaster that is declared by the start of the run', () => {
  const b2 = { id: 'b2', startedAt: '2026-01-01T23:59:00.000Z', stoppedAt: '2026-01-02T00:00:08.000Z', publishedAt: '2026-01-02T00:00:09.000Z' };
  // The host's clock is ahead of Temporal's by this: see measureHostAhead.
  const ahead = { isDeclaredAtStart: true, hostAheadMs: 9_000 };

  it('gets the newest point that there is, also where the clocks of its source and of this host, which published it, are ahead of Temporal\'s', async () => {
    publishDescription(backups, describedBackup(b2));
    expect((await plan()).recoveryPoint.id, 'given by somebody').toBe('b1');
    const { recoveryPoint, notVerified } = await plan(ahead);
    expect(recoveryPoint.id).toBe('b2');
    // As of its publication: what it needs of the archive came just before that.
    expect(notVerified.open).toEqual([expect.stringContaining('b2 has no manifest')]);
    expect((await plan(ahead, { id: 'm', manifest: { databases: [{ database: 'shop', lsn: '0/5000060', takenAt: '2026-01-01T00:02:00.000Z', tables: [] }], notVerified: [] } } as unknown as UsableManifest)).notVerified.byDesign)
      .toContain(`shop, what was committed after 0/5000060 (2026-01-01T00:02:00.000Z): replayed up to the end of the archive (${b2.publishedAt}), not compared`);
  });

  it('keeps what it was given when it is looked at once more, whatever the clocks say by then', async () => {
    publishDescription(backups, describedBackup(b2));
    const first = await plan(ahead);
    const again = { ...ahead, hostAheadMs: 5, recoveryPoint: { id: first.recoveryPoint.id } };
    await expect(plan(again)).rejects.toMatchObject({ type: 'NOT_FOUND' });
    expect(bindingOf(await plan({ ...again, publishedUntil: first.publishedUntil }))).toEqual(bindingOf(first));
  });

  it('gets it also where it is the only one, and names a newer one that cannot be read', async () => {
    rmSync(join(backups, 'b1'), { recursive: true });
    publishDescription(backups, describedBackup(b2));
    const newer = backupId(Date.parse(DECLARED) + 9_000, { workflowId: 'w', firstExecutionRunId: 'r' });
    mkdirSync(join(backups, newer));
    await expect(plan()).rejects.toMatchObject({ type: 'NOT_FOUND' });
    const { recoveryPoint, notVerified } = await plan(ahead);
    expect(recoveryPoint.id).toBe('b2');
    expect([...notVerified.open, ...notVerified.byDesign].filter((one) => one.includes(newer))).toHaveLength(1);
  });

  it('gets no point that is complete only after the instant that it is to be recovered to', async () => {
    publishDescription(backups, describedBackup(b2));
    expect((await plan({ ...ahead, recoveryPoint: { time: '2026-01-02T00:00:00Z' } })).recoveryPoint.id).toBe('b1');
  });
});

it.each([
  ['hours later, while the plan waited for this host', { isDeclaredAtStart: true }, '2026-01-02T03:00:00.000Z', DECLARED],
  ['later by more than this host is ahead', { isDeclaredAtStart: true, hostAheadMs: 2_000 }, '2026-01-02T00:00:02.001Z', '2026-01-02T00:00:02.000Z'],
  ['later, by a host that is behind', { isDeclaredAtStart: true, hostAheadMs: -60_000 }, '2026-01-02T00:00:00.001Z', '2026-01-01T23:59:00.000Z'],
  ['later, and before the declaration by the clock of a host that is behind', { isDeclaredAtStart: true, hostAheadMs: -60_000 }, '2026-01-01T23:59:30.000Z', '2026-01-01T23:59:00.000Z'],
  ['a moment after what somebody declared, however far this host is ahead', { hostAheadMs: 9_000 }, '2026-01-02T00:00:00.001Z', DECLARED],
])('a point that was published %s is not chosen, and the archive is taken as of the declaration, by the clock of this host', async (_, over, publishedAt, archivedUntil) => {
  publishDescription(backups, describedBackup({ id: 'b2', startedAt: '2026-01-01T23:50:00.000Z', stoppedAt: '2026-01-01T23:58:00.000Z', publishedAt }));
  const usable = { id: 'm', manifest: { databases: [{ database: 'shop', lsn: '0/5000060', takenAt: '2026-01-01T00:02:00.000Z', tables: [] }], notVerified: [] } } as unknown as UsableManifest;
  const { recoveryPoint, notVerified } = await plan(over, usable);
  expect(recoveryPoint.id).toBe('b1');
  // The provider that these tests use answers with the instant that it is asked for.
  expect(notVerified.byDesign).toContainEqual(expect.stringContaining(`the end of the archive (${archivedUntil})`));
  const refusal = expect.stringContaining(archivedUntil === DECLARED ? `declared, ${DECLARED}: the first` : `declared, ${DECLARED} (${archivedUntil} by the clock of this host): the first`) as string;
  await expect(plan({ ...over, recoveryPoint: { id: 'b2' } })).rejects.toMatchObject({ type: 'NOT_FOUND', message: refusal });
});

it('whether a drill may succeed that is not proven, the input says before the configuration, which says no here', async () => {
  expect((await plan()).allowNotProven).toBe(false);
  expect((await plan({ allowNotProven: true })).allowNotProven).toBe(true);
  expect(bindingOf(await plan({ allowNotProven: true }))).not.toEqual(bindingOf(await plan()));
});

it('what this host archived before the declaration is not late, however far its clock is ahead', async () => {
  const usable = { id: 'm', manifest: { databases: [{ database: 'shop', lsn: '0/5000060', takenAt: '2026-01-01T00:02:00.000Z', tables: [] }], notVerified: [] } } as unknown as UsableManifest;
  const { recoveryPoint, notVerified } = await plan({ isDeclaredAtStart: true, hostAheadMs: 3_600_000 }, usable);
  // A point that is long there, so that nothing but the clock speaks for what came later.
  expect(recoveryPoint.id).toBe('b1');
  expect(notVerified.byDesign).toContainEqual(expect.stringContaining('the end of the archive (2026-01-02T01:00:00.000Z)'));
});

it('what a plan counted on already is handed on where the point is the same, and only there', async () => {
  const planned = { recoveryPointId: 'b1', lastPiece: '000000010000000000000003' };
  expect((await plan({ planned })).archive.lastSegment).toBe(planned.lastPiece);
  expect((await plan({ planned: { ...planned, recoveryPointId: 'b0' } })).archive.lastSegment).toBeNull();
});

it('a server that does not say how far this host is ahead is asked again, and nothing is called late meanwhile', async () => {
  // Nobody listens there.
  const connection = Connection.lazy({ address: '127.0.0.1:1' });
  try {
    const asked = measureHostAhead(new Client({ connection }), { activityId: '1', attempt: 1, workflowExecution: { workflowId: 'w', runId: 'r' } }, Date.now());
    await expect(asked).rejects.toMatchObject({ type: 'UNAVAILABLE', nonRetryable: false, message: expect.stringContaining('did not say when it began this attempt') as string });
  } finally {
    await connection.close();
  }
});

it('a source whose clock is ahead, and that is silent, does not take a point that was published in time', async () => {
  publishDescription(backups, describedBackup({ id: 'b2', startedAt: '2026-01-01T23:59:00.000Z', stoppedAt: '2026-01-02T00:01:00.000Z', publishedAt: DECLARED }));
  expect((await plan()).recoveryPoint.id).toBe('b2');
});

describe('a point that is asked for by an id that is not there', () => {
  const asked = () => plan({ recoveryPoint: { id: 'nosuch' } });

  it('is told with the newest that there are, and not with all', async () => {
    await expect(asked()).rejects.toMatchObject({ message: expect.stringMatching(/There is no recovery point "nosuch".* There are: b1; name one of them, or "latest"\.$/) as string });
    for (let day = 2; day <= 9; day += 1) publishDescription(backups, describedBackup({ id: `b${day}`, startedAt: `2026-01-0${day}T00:00:00.000Z` }));
    await expect(asked()).rejects.toMatchObject({ message: expect.stringMatching(/There are 9, the newest: b9, b8, b7, b6, b5; name/) as string });
  });

  it.each(WITHOUT_BACKUP)('is told to look where they should be before a first one is taken, where %s', async (_what, lose, said) => {
    lose();
    await expect(asked()).rejects.toMatchObject({ type: 'RECOVERY_POINT_NOT_FOUND', message: `There is no recovery point "nosuch" in ${backups}. ${said().replace(/^there/, 'There')}.` });
  });

  it('is told with what is wrong with all that there are', async () => {
    rmSync(join(backups, 'b1', 'backup.json'));
    await expect(asked()).rejects.toMatchObject({ message: expect.stringMatching(/ There is only what cannot be used: b1; `runbook doctor` says what is wrong with it\.$/) as string });
  });
});

describe('where there is no point at all', () => {
  it.each(WITHOUT_BACKUP)('people are told to look where they should be before a first one is taken, where %s', async (_what, lose, said) => {
    lose();
    for (const recoveryPoint of ['latest', 'random'] as const) await expect(plan({ recoveryPoint })).rejects.toMatchObject({ type: 'NOT_FOUND', message: `There is no recovery point from before ${DECLARED}: ${said()}.` });
  });

  it('each provider says in its own words where it looked', async () => {
    await expect(plan({ recoveryPoint: 'latest' }, undefined, { list: () => Promise.resolve({ points: [], unusable: [], ifNone: 'the vault is empty; fill it' }) })).rejects.toMatchObject({ message: `There is no recovery point from before ${DECLARED}: the vault is empty; fill it.` });
  });
});

describe('what lies among the backups and is none', () => {
  const damaged = (id: string) => {
    mkdirSync(join(backups, id));
    writeFileSync(join(backups, id, 'backup.json'), '{"schemaVersion":1');
  };

  it.each([['latest', 'latest' as const], ['random', 'random' as const], ['an instant', { time: '2026-01-01T12:00:00Z' }]])('is passed over by a drill of %s, and named', async (_, recoveryPoint) => {
    damaged('b2');
    mkdirSync(join(backups, 'b3'));
    damaged('a9');
    const { recoveryPoint: chosen, notVerified } = await plan({ recoveryPoint });
    expect(chosen.id).toBe('b1');
    // Newer ones are what was asked about; an older one is so only where any could have been drawn.
    const older = expect.stringMatching(/^recovery point a9 was passed over: .*backup\.json is not JSON/) as string;
    const newer = [expect.stringMatching(/^recovery point b2 was passed over: .*backup\.json is not JSON/) as string, expect.stringMatching(/^recovery point b3 was passed over: There is no recovery point "b3"/) as string];
    expect(notVerified.open.filter((one) => one.startsWith('recovery point ') && one.includes('passed over'))).toEqual(recoveryPoint === 'random' ? [older, ...newer] : newer);
    expect(notVerified.byDesign).toEqual(recoveryPoint === 'random' ? [] : [older]);
  });

  it.each<[string, Partial<PlanDrillInput>, string]>([
    ['latest, declared earlier', {}, DECLARED],
    ['random, declared earlier', { recoveryPoint: 'random' }, DECLARED],
    ['an instant', { recoveryPoint: { time: '2026-01-01T12:00:00.000Z' } }, '2026-01-01T12:00:00.000Z'],
  ])('is not what was asked about where its name says that it began after that: %s', async (_, over, instant) => {
    const idAt = (afterMs: number) => backupId(Date.parse(instant) + afterMs, { workflowId: 'w', firstExecutionRunId: 'r' });
    const ids = [idAt(-60_000), idAt(5_000), idAt(6_000), '2027-01-01'];
    ids.forEach(damaged);
    // As ours are named, so that names are in the order of time.
    rmSync(join(backups, 'b1'), { recursive: true });
    publishDescription(backups, describedBackup({ id: backupId(Date.parse('2026-01-01T00:00:00.000Z'), { workflowId: 'w', firstExecutionRunId: 'r' }) }));
    const { notVerified } = await plan(over);
    const named = (of: string[]) => ids.filter((id) => of.some((one) => one.startsWith(`recovery point ${id} was passed over`)));
    // Clocks differ, and of a name that no backup of ours has nothing is known: it could have been chosen.
    expect(named(notVerified.open)).toEqual([ids[0], ids[1], ids[3]]);
    expect(named(notVerified.byDesign)).toEqual([ids[2]]);
  });

  it('is nothing to speak of when it is a stray file or has a name that no backup has', async () => {
    writeFileSync(join(backups, 'notes.txt'), '');
    mkdirSync(join(backups, 'lost+found'));
    expect((await plan()).notVerified.byDesign).toEqual([]);
  });

  it('of an earlier instant is given by its id only if it was published by then', async () => {
    await expect(plan({ recoveryPoint: { id: 'b1' }, declaredAt: '2026-01-01T00:02:00Z' })).rejects.toMatchObject({ type: 'NOT_FOUND', message: expect.stringMatching(/no recovery point yet.*b1, was published at/) as string });
  });

  it('fails a drill that asks for it by its id, and one that has no other', async () => {
    damaged('b2');
    await expect(plan({ recoveryPoint: { id: 'b2' } })).rejects.toMatchObject({ type: 'BACKUP_DAMAGED' });
    rmSync(join(backups, 'b1'), { recursive: true });
    await expect(plan()).rejects.toMatchObject({ type: 'BACKUP_DAMAGED', message: expect.stringContaining('b2') as string });
  });
});

it('what is replayed after the comparison is stated as not compared, with how far it reaches', async () => {
  const manifest = { databases: [{ database: 'shop', lsn: '0/5000060', takenAt: '2026-01-01T00:02:00.000Z', tables: [] }], notVerified: [] };
  const usable = { id: 'm', manifest } as unknown as UsableManifest;
  expect((await plan({}, usable)).notVerified.byDesign).toContain(`shop, what was committed after 0/5000060 (2026-01-01T00:02:00.000Z): replayed up to the end of the archive (${DECLARED}), not compared`);
  const time = '2026-01-01T12:00:00Z';
  expect((await plan({ recoveryPoint: { time } }, usable)).notVerified.byDesign).toContain(`shop, what was committed after 0/5000060 (2026-01-01T00:02:00.000Z): replayed up to ${time}, or the end of the archive (${DECLARED}) where what it holds ends before that, not compared`);
});
