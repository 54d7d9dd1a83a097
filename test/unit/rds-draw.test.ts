import { describe, expect, it } from 'vitest';
import { drawOf } from '../../activities/dr-test/draw.ts';
import { drawPoint } from '../../activities/rds-provider/draw-point.ts';
import type { RdsPoint } from '../../activities/rds-provider/points.ts';

const at = (kind: RdsPoint['kind'], instant: string, id = instant): RdsPoint => ({ kind, id, beganAt: instant, completeAt: instant, availableAt: instant, sizeBytes: 1, timeline: 1, serverVersion: '18', systemIdentifier: null });
const points = [
  at('snapshot', '2026-01-01T00:00:00.000Z', 'of-january'), at('time', '2026-11-20T00:00:00.000Z'), at('snapshot', '2026-11-21T02:00:00.500Z', 'of-saturday'), at('snapshot', '2026-11-25T02:00:00.500Z', 'of-wednesday'), at('time', '2026-11-27T00:00:00.000Z'),
];
const untilMs = Date.parse('2026-11-26T00:00:00.000Z');
const DAY = 86_400_000;
const settings = { instance: 'prod', latest: 'pointInTime' as const, randomWithin: undefined as number | undefined };
const drawn = (run: number, over: Partial<typeof settings> | { latest: 'snapshot' } = {}, of = points) => drawPoint(of, { ...settings, ...over }, { untilMs, draw: drawOf({ workflowId: 'w', firstExecutionRunId: String(run) }) });
const many = (over?: Parameters<typeof drawn>[1]) => Array.from({ length: 300 }, (_, run) => drawn(run, over).point);

describe('a recovery point of RDS that is drawn', () => {
  it('is the same for the same run, and of all that there is over many: any second of the window up to the declaration, and any snapshot', () => {
    expect(drawn(7)).toEqual(drawn(7));
    const all = many();
    const seconds = all.filter(({ kind }) => kind === 'time').map(({ completeAt }) => Date.parse(completeAt));
    expect(seconds.length).toBeGreaterThan(100);
    expect(seconds.every((ms) => ms % 1_000 === 0 && ms > Date.parse('2026-11-20T00:00:00Z') && ms <= untilMs)).toBe(true);
    expect(new Set(seconds.map((ms) => Math.floor(ms / DAY))).size).toBe(6);
    expect(new Set(all.filter(({ kind }) => kind === 'snapshot').map(({ id }) => id))).toEqual(new Set(['of-january', 'of-saturday', 'of-wednesday']));
  });

  it('says what it was drawn from', () => {
    const snapshot = Array.from({ length: 20 }, (_, run) => drawn(run)).find(({ point }) => point.kind === 'snapshot');
    expect(snapshot?.from).toMatch(/^the snapshot of-\w+ of \S+, drawn from 518400 seconds from 2026-11-20T00:00:01.000Z to 2026-11-26T00:00:00.000Z and 3 snapshots from 2026-01-01T00:00:00.000Z to 2026-11-25T02:00:00.500Z$/);
    expect(drawn(1, { randomWithin: DAY }).from).toMatch(/and 1 snapshot from .*, of the 1 days before 2026-11-26T00:00:00.000Z \(provider.randomWithin\)$/);
  });

  it('is not older than the days that are configured', () => {
    expect(many({ randomWithin: 2 * DAY }).every(({ completeAt }) => Date.parse(completeAt) >= untilMs - 2 * DAY)).toBe(true);
    expect(new Set(many({ randomWithin: 2 * DAY }).map(({ kind }) => kind)).size).toBe(2);
  });

  it('is a snapshot where no second is there or wanted, and a second where no snapshot is', () => {
    expect(new Set(many({ latest: 'snapshot' }).map(({ kind }) => kind))).toEqual(new Set(['snapshot']));
    expect(drawn(1, {}, points.filter(({ kind }) => kind === 'snapshot')).point.kind).toBe('snapshot');
    expect(drawn(1, {}, points.filter(({ kind }) => kind === 'time')).point.kind).toBe('time');
  });

  it('is none where there is nothing to draw from, which says why', () => {
    expect(() => drawn(1, {}, [])).toThrow('There is nothing to draw a recovery point of prod from: no second and no snapshot; RDS keeps no backups');
    const old = [at('snapshot', '2026-01-01T00:00:00.000Z'), at('time', '2026-11-20T00:00:00.000Z'), at('time', '2026-11-20T01:00:00.000Z')];
    expect(() => drawn(1, { randomWithin: DAY }, old)).toThrow(/no second and no snapshot, of the 1 days before .*; make provider.randomWithin longer/);
  });
});
