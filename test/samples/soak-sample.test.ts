import { expect, it } from 'vitest';
import { raceKinds, type Race } from '../soak/racers.ts';
import { racesWithin, soak, type SoakDrill } from '../soak/soak.ts';

/** A manifest that met a transaction which outlasted its patience is given up, or lacks a table, and the backup or the drill says so, and nothing else. */
const LACKS_A_TABLE = /^(failed: |no exact manifest: |restore is notProven$|\d+ tables compared, |.* is not in the manifest$|not verified: )/;
const lacksATable = ({ verdict, problems }: SoakDrill) => verdict === 'notProven' && problems.every((problem) => LACKS_A_TABLE.test(problem));

it('healthy drills stay sound while everything races their manifests, and every logged table is compared', async () => {
  const soaked = () => soak({ drills: 2, seed: 3, log: () => undefined });
  const first = await soaked();
  // On a machine with much else to do that is no finding, once. Everything else is.
  const drills = first.some(lacksATable) ? await soaked() : first;
  expect(first.filter((drill) => !lacksATable(drill)).flatMap(({ problems }) => problems)).toEqual([]);
  expect(drills.flatMap((drill) => drill.problems)).toEqual([]);
  expect(new Set(drills.map((drill) => drill.lsn)).size).toBe(2);
  for (const kind of raceKinds) expect(drills.reduce((sum, drill) => sum + drill.races[kind], 0), kind).toBeGreaterThan(0);
});

it('counts a race only where it met the manifest', () => {
  const race = (fromLsn: bigint, toLsn: bigint, endedAtMs: number): Race => ({ kind: 'drop', fromLsn, toLsn, startedAtMs: endedAtMs - 5, endedAtMs });
  const count = (...log: Race[]) => racesWithin(log, 100n, { fromMs: 800, untilMs: 1000 }).drop;
  expect(count(race(50n, 99n, 900)), 'before the position').toBe(0);
  expect(count(race(100n, 120n, 1001)), 'after the reading').toBe(0);
  expect(count(race(100n, 120n, 999)), 'while it was read').toBe(1);
  expect(count(race(99n, 101n, 2000)), 'across the position').toBe(1);
  const restarts = (one: Race) => racesWithin([{ ...one, kind: 'restartedSequence' }], 100n, { fromMs: 800, untilMs: 1000 }).restartedSequence;
  expect(restarts(race(50n, 99n, 900)), 'while the position is waited for').toBe(1);
  expect(restarts(race(50n, 99n, 700)), 'before anything was read').toBe(0);
  expect(restarts(race(100n, 120n, 999)), 'after the position').toBe(0);
});
