import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import type { Evidence } from '../../contracts/evidence.ts';
import { endingProblems, type Ending, type Judged } from '../faults/judge-case.ts';
import type { Timeline } from '../faults/timeline.ts';
import { raceKinds } from '../soak/racers.ts';
import type { SoakDrill } from '../soak/soak.ts';
import { hasPassed, summaryOf } from '../soak/summary.ts';
import { ROOT } from '../support/documentation.ts';
import { sampleEvidence } from './report-fixture.ts';

describe('a run that was terminated', () => {
  const fault: Judged = { expected: 'terminated', retried: false };
  const copy = { name: 'copy', outcome: 'cancelled', startedAt: sampleEvidence().startedAt, finishedAt: null, attempts: 1, summary: null } as const;
  const byGuardian = { outcome: 'terminated', chain: { codeVersion: '0.1.0', planHash: null, writtenBy: 'guardian', seal: null }, steps: [copy] } satisfies Partial<Evidence>;
  const problemsOf = (over: Partial<Evidence>) => endingProblems(fault, { where: 'inside', step: 'copy', activity: 'copyBackup' }, { status: 'TERMINATED', evidence: [sampleEvidence(over)], run: {} as Timeline, guardian: undefined, guardianStatus: 'COMPLETED' } satisfies Ending);
  const verdict = (restore: Evidence['verdict']['restore']) => ({ restore, rto: null, rpo: null });

  it('has no verdict, or that of the healthy backup where it came to measure', () => {
    expect(problemsOf({ ...byGuardian, recovery: null, verdict: verdict(null) })).toEqual([]);
    expect(problemsOf({ ...byGuardian, verdict: verdict('sound') })).toEqual([]);
    expect(problemsOf({})).toEqual([]);
  });

  it.each(['unsound', 'notProven', 'sound'] as const)('may not call a backup %s that it had no time to judge', (restore) => {
    expect(problemsOf({ ...byGuardian, recovery: null, verdict: verdict(restore) })).toEqual([`the verdict is ${restore}, not null`]);
  });

  it('ends with the step that it was in, which was cancelled', () => {
    expect(problemsOf({ ...byGuardian, recovery: null, verdict: verdict(null), steps: [{ ...copy, outcome: 'done' }] })).toEqual(['the evidence ends with copy, done, not with copy, cancelled']);
    expect(problemsOf({ ...byGuardian, recovery: null, verdict: verdict(null), steps: [copy, { ...copy, name: 'recover' }] })).toEqual(['the evidence ends with recover, cancelled, not with copy, cancelled']);
  });

  it('may not call a healthy backup unsound', () => {
    expect(problemsOf({ ...byGuardian, verdict: verdict('unsound') })).toEqual(['the verdict is unsound, not sound']);
  });
});

describe('a soak', () => {
  const drill = (lsn: string, over: Partial<SoakDrill> = {}) => ({ lsn, problems: [], races: Object.fromEntries(raceKinds.map((kind) => [kind, 3])), tablesAtSource: 7, tablesCompared: 7, ...over }) as unknown as SoakDrill;

  it('has passed when no drill is red, each has a position of its own, and every race was met five times', () => {
    expect(hasPassed(summaryOf([drill('0/1'), drill('0/2')]))).toBe(true);
  });

  it.each([
    ['none', []], ['a red one', [drill('0/1', { problems: ['lost'] }), drill('0/2')]], ['two at one position', [drill('0/1'), drill('0/1'), drill('0/2')]], ['races that were rare', [drill('0/1')]],
  ])('has not with %s', (_of, drills) => {
    expect(hasPassed(summaryOf(drills))).toBe(false);
  });
});

describe.each([['faults', '--lanes=0'], ['soak', '--drills=0']])('npm run %s', (name, wrong) => {
  const run = (...words: string[]) => spawnSync(process.execPath, [join(ROOT, `dist/test/${name}/main.js`), ...words], { encoding: 'utf8' });
  const usage = expect.stringMatching(new RegExp(`^npm run ${name} -- dr-test `, 'm')) as string;

  it('tells its use when it is asked, and when it is used wrongly', () => {
    expect(run('--help')).toMatchObject({ status: 0, stderr: '', stdout: usage });
    for (const words of [['dr-test', '--fast'], ['dr-test', wrong]]) expect(run(...words)).toMatchObject({ status: 2, stdout: '', stderr: usage });
  });
});
