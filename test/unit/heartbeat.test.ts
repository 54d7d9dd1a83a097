import { describe, expect, it } from 'vitest';
import { crossCheckHeartbeat, type HeartbeatReadings } from '../../activities/dr-test/heartbeat.ts';

const setting = { table: 'ops.beat', column: 'at', every: 2000 };
const declaredMs = 1_000_000;
const check = (readings: Partial<HeartbeatReadings>) => crossCheckHeartbeat(setting, {
  copyMs: declaredMs - 10_000, sourceMs: declaredMs - 500, sourceAnswered: true, sourceTrouble: null, sourceAtEndMs: declaredMs - 10_000, aheadMs: -500, declaredMs, rpaSeconds: 9, lastRecoveredMs: declaredMs - 9500, ...readings,
}).check;

it('agrees where the losses differ by no more than the time between two beats', () => {
  expect(check({})).toMatchObject({ outcome: 'passed' });
  expect(check({ rpaSeconds: 6.6 })).toMatchObject({ outcome: 'passed' });
  expect(check({ sourceMs: null, rpaSeconds: 9 })).toMatchObject({ outcome: 'passed' });
});

it('disagrees where the copy lacks beats that the WAL says it has, and where it has beats that the WAL says are lost', () => {
  expect(check({ rpaSeconds: 1 })).toMatchObject({ outcome: 'failed', detail: expect.stringContaining('9.5 s, and the WAL one of 1.0 s') as string });
  expect(check({ rpaSeconds: 60 })).toMatchObject({ outcome: 'failed' });
  expect(check({ copyMs: null })).toMatchObject({ outcome: 'failed', detail: 'the restored copy holds no beat, and the source does' });
});

it('says nothing where the heart stood still before the declaration', () => {
  expect(check({ sourceMs: declaredMs - 10_000, rpaSeconds: 0 })).toMatchObject({ outcome: 'skipped' });
});

describe('a heart that stood still across the end of recovery', () => {
  // The last beat in the copy, 55 s later the last recovered commit, and beats again 5 s after that.
  const pause = { copyMs: declaredMs - 61_000, lastRecoveredMs: declaredMs - 6000, sourceMs: declaredMs - 1000, rpaSeconds: 5 };
  it('says nothing where the copy holds every beat that there was', () => {
    expect(check({ ...pause, sourceAtEndMs: pause.copyMs })).toMatchObject({ outcome: 'skipped', detail: expect.stringContaining('not beaten for 55.0 s when recovery ended') as string });
  });
  it('says nothing where the table keeps no beat from before', () => {
    expect(check({ ...pause, sourceAtEndMs: null })).toMatchObject({ outcome: 'skipped' });
  });
  it('did not where the source has beats from then that the copy lacks', () => {
    expect(check({ ...pause, sourceAtEndMs: pause.lastRecoveredMs - 1500 })).toMatchObject({ outcome: 'failed' });
  });
  it('is no excuse for a WAL that shows too small a loss', () => {
    expect(check({ copyMs: declaredMs - 60_000, lastRecoveredMs: declaredMs - 59_500, sourceAtEndMs: declaredMs - 60_000, rpaSeconds: 5 })).toMatchObject({ outcome: 'failed' });
  });
});

it('says nothing where there is no beat anywhere, or none to hold it against', () => {
  expect(check({ copyMs: null, sourceMs: null })).toMatchObject({ outcome: 'skipped', detail: expect.stringContaining('neither in the restored copy nor at the source') as string });
  expect(check({ copyMs: null, sourceMs: null, sourceAnswered: false })).toMatchObject({ outcome: 'skipped' });
  expect(check({ sourceMs: null, sourceTrouble: 'too many connections' })).toMatchObject({ outcome: 'skipped', detail: expect.stringContaining('too many connections') as string });
  expect(check({ rpaSeconds: null })).toMatchObject({ outcome: 'skipped' });
});

it('is held against the last recovered commit where the source does not answer', () => {
  const dead = { sourceAnswered: false, sourceMs: null };
  expect(check(dead)).toMatchObject({ outcome: 'passed' });
  expect(check({ ...dead, lastRecoveredMs: declaredMs })).toMatchObject({ outcome: 'skipped' });
});

describe('a heart that beats by a clock that is ahead of the source\'s', () => {
  // Ten seconds: what was lost looks as much smaller, since of the source's beats those count that lie before the declaration.
  const ahead = { copyMs: declaredMs - 500, lastRecoveredMs: declaredMs - 10_000, rpaSeconds: 9.5, aheadMs: 9_500 };
  const words = /^its last beat is 9\.5 s ahead of the source's clock, so it says nothing: whoever beats has to write the source's now\(\)$/;
  it('says nothing', () => {
    expect(check(ahead)).toMatchObject({ outcome: 'skipped', detail: expect.stringMatching(words) as string });
    // Between two beats that is not seen at the source, but in the copy, whose beat is later than all that was recovered.
    expect(check({ ...ahead, aheadMs: -100 })).toMatchObject({ outcome: 'skipped', detail: expect.stringMatching(words) as string });
    expect(check({ ...ahead, sourceAnswered: false, sourceMs: null, aheadMs: null })).toMatchObject({ outcome: 'skipped', detail: expect.stringMatching(words) as string });
  });
  it('is held against the WAL where that makes no difference, and where it does not explain how far the two are apart', () => {
    expect(check({ aheadMs: 400 })).toMatchObject({ outcome: 'passed' });
    expect(check({ ...ahead, rpaSeconds: 60 })).toMatchObject({ outcome: 'failed' });
    expect(check({ ...ahead, aheadMs: 900, lastRecoveredMs: declaredMs - 1_400 })).toMatchObject({ outcome: 'failed' });
    expect(check({ aheadMs: 9_500, rpaSeconds: 1 })).toMatchObject({ outcome: 'failed' });
  });
});
