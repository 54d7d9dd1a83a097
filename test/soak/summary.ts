import { raceKinds } from './racers.ts';
import type { SoakDrill } from './soak.ts';

/** A kind of race that was met less often than this proves nothing. */
const LEAST_RACES = 5;

/** What all drills of a soak come to. */
export function summaryOf(drills: readonly SoakDrill[]) {
  const races = Object.fromEntries(raceKinds.map((kind) => [kind, sumOf(drills, (drill) => drill.races[kind])]));
  const red = drills.filter(({ problems }) => problems.length > 0);
  return {
    soak: 'dr-test', drills: drills.length, passed: drills.length - red.length, failed: red.length, races, racesTooRare: raceKinds.filter((kind) => (races[kind] ?? 0) < LEAST_RACES),
    tablesAtSource: sumOf(drills, ({ tablesAtSource }) => tablesAtSource), tablesCompared: sumOf(drills, ({ tablesCompared }) => tablesCompared),
    positions: new Set(drills.map(({ lsn }) => lsn)).size, problems: red.flatMap(({ problems }) => problems),
  };
}

/** Whether it has shown what it is for: no drill red, each at a position of its own, and every kind of race met often enough. */
export function hasPassed({ drills, failed, positions, racesTooRare }: Pick<ReturnType<typeof summaryOf>, 'drills' | 'failed' | 'positions' | 'racesTooRare'>): boolean {
  return drills > 0 && failed === 0 && positions === drills && racesTooRare.length === 0;
}

function sumOf(drills: readonly SoakDrill[], value: (drill: SoakDrill) => number): number {
  return drills.reduce((sum, drill) => sum + value(drill), 0);
}
