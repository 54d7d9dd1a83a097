import { stripVTControlCharacters } from 'node:util';
import { describe, expect, it } from 'vitest';
import { compensationLines } from '../../scripts/cli/compensations.ts';
import { cut, plainDisplay, terminalDisplay } from '../../scripts/cli/live-display.ts';
import { activityLine, gateLines, RateMeter, runLines } from '../../scripts/cli/progress-lines.ts';
import type { ActivityView, RunView } from '../../scripts/cli/run-view.ts';

const activity = (changes: Partial<ActivityView> = {}): ActivityView => ({ id: '1', type: 'copyBackup', attempt: 1, phase: 'copying', bytesDone: 0, bytesTotal: 1_000_000_000, unit: null, heardAtMs: 0, lastFailure: null, ...changes });

const view = (changes: Partial<RunView> = {}): RunView => ({
  workflowId: 'dr-test/orders/1', runId: 'r', type: 'dr-test', status: 'RUNNING', silence: null, plan: null, lock: null, startedAtMs: 0, closedAtMs: null, activities: [],
  progress: { runbook: 'dr-test', target: 'orders', requester: null, phase: 'copy', startedAt: '1970-01-01T00:00:00.000Z', paused: false, openGate: null, steps: [{ name: 'copy', outcome: 'running', startedAt: '1970-01-01T00:00:00.000Z', finishedAt: null, summary: null }], refused: [], refusedLeftOut: 0 },
  ...changes,
});
const gate = { name: 'start', openedAt: '1970-01-01T00:00:00.000Z', expiresAt: '1970-01-02T00:00:00.000Z', planHash: 'abcdef0123456789', approvers: ['alice'], quorum: 1, note: null, assurance: 'claimed' };

describe('RateMeter', () => {
  it('knows no rate at the first look, and keeps it while heartbeats say nothing new', () => {
    const meter = new RateMeter();
    expect(meter.rate(activity(), 0)).toBeNull();
    expect(meter.rate(activity({ bytesDone: 100 }), 1_000)).toBe(100);
    expect(meter.rate(activity({ bytesDone: 100 }), 2_000)).toBe(100);
  });

  it('starts anew with a new attempt, so that a restart does not give a negative rate', () => {
    const meter = new RateMeter();
    meter.rate(activity(), 0);
    meter.rate(activity({ bytesDone: 100 }), 1_000);
    expect(meter.rate(activity({ attempt: 2, bytesDone: 10 }), 2_000)).toBeNull();
    expect(meter.rate(activity({ bytesDone: 5 }), 3_000)).toBeNull();
  });
});

describe('activityLine', () => {
  it('says phase, bytes, share, rate and time left', () => {
    expect(activityLine(activity({ bytesDone: 250_000_000 }), 50_000_000)).toBe('copying, 250 MB of 1.00 GB (25 %), 50.0 MB/s, 15.0 s left');
  });

  it('says the share alone of what is a percentage, and nothing of what nobody knows', () => {
    expect(activityLine(activity({ phase: 'RDS says: creating', bytesDone: 25, bytesTotal: 100, unit: 'percent' }), 1)).toBe('RDS says: creating, 25 %');
    expect(activityLine(activity({ bytesTotal: 0 }), null)).toBe('copying');
  });

  it('says no time left when nothing moves, and tells of failed attempts', () => {
    const line = activityLine(activity({ attempt: 2, lastFailure: 'disk\u001B[2J', bytesTotal: null, bytesDone: 7 }), 0);
    expect(line).not.toMatch(/left|Infinity|NaN|\u001B/); // oxlint-disable-line no-control-regex
    expect(line).toContain('attempt 2, the last one failed: disk');
  });
});

describe('gateLines', () => {
  it('prints the command that approves', () => {
    const progress = { ...view().progress!, openGate: gate };
    expect(gateLines(view({ progress }), 0).join('\n')).toMatch(/1 of alice until 1970-01-02.*\n {2}runbook approve dr-test\/orders\/1 --by NAME --plan-hash abcdef0123456789$/);
    expect(gateLines(view({ progress, status: 'COMPLETED' }), 0)).toEqual([]);
    const at = (assurance: string) => gateLines(view({ progress: { ...progress, openGate: { ...gate, assurance } } }), 0)[1];
    expect(at('signature')).toBe('  runbook approve dr-test/orders/1 --sign KEY --plan-hash abcdef0123456789');
    expect(at('principal')).toBe('  runbook approve dr-test/orders/1 --plan-hash abcdef0123456789');
    expect(gateLines(view({ progress }), 0, { address: 'h:1', namespace: 'ops' })[1]).toBe('  runbook approve dr-test/orders/1 --by NAME --plan-hash abcdef0123456789 --address h:1 --namespace ops');
  });
});

describe('what was refused', () => {
  const said = (...refused: string[]) => ({ ...view().progress!, refused });
  it('is shown with the reason, the newest few, wherever the run is', () => {
    const lines = runLines(view({ progress: { ...said(...[1, 2, 3, 4, 5, 6, 7].map((n) => `reject at ${n}: not like that\u001B[2J`)), refusedLeftOut: 2 } }), new RateMeter(), 0).map(stripVTControlCharacters);
    expect(lines.slice(-6)).toEqual([...[3, 4, 5, 6, 7].map((n) => expect.stringMatching(`^refused: reject at ${n}: not like that`) as string), 'refused: 4 more']);
    const { refused: _, ...older } = said();
    expect(runLines(view({ progress: older as never }), new RateMeter(), 0).join('\n')).not.toContain('refused');
  });

  it('is said once in a log', () => {
    const lines: string[] = [];
    const display = plainDisplay((line) => lines.push(line));
    for (const refused of [[], ['reject at 1: no'], ['reject at 1: no'], ['reject at 1: no', 'reject at 2: no']]) display.show(view({ progress: said(...refused) }), 0);
    for (const refusedLeftOut of [1, 2]) display.show(view({ progress: { ...said(), refusedLeftOut } }), 0);
    expect(lines.filter((line) => line.includes('refused'))).toEqual(['reject at 1: no', 'reject at 2: no', 'more than are told here'].map((what) => `1970-01-01T00:00:00.000Z refused: ${what}`));
  });
});

it('says until when a run has its target, as long as it runs', () => {
  const progress = { ...view().progress!, lease: { expiresAt: '1970-01-01T04:00:00.000Z' } };
  expect(runLines(view({ progress }), new RateMeter(), 0)).toContain('it has its target until 1970-01-01T04:00:00.000Z at the latest');
  expect(runLines(view({ progress, status: 'COMPLETED' }), new RateMeter(), 0).join()).not.toContain('target until');
});

it('says what an abort would undo, in that order, and how long each took', () => {
  const entry = (title: string, when: 'failure' | 'always', lastSeconds: number | null) => ({ id: title, step: 'copy\u001B[2J', title, when, lastSeconds });
  const lines = compensationLines([entry('remove the copy', 'always', 61), entry('open the way', 'failure', null)]).map(stripVTControlCharacters);
  expect(lines.map((line) => line.replaceAll(/ {2,}/g, '  '))).toEqual([expect.stringContaining('what is undone'), expect.stringMatching(/^1\. {2}remove the copy {2}copy.* {2}however it ends {2}1 min 01 s$/), expect.stringMatching(/^2\. {2}open the way {2}copy.* {2}unless it succeeds {2}not known$/)]);
  expect(compensationLines([])).toEqual(['nothing would be undone']);
});

describe('the plan at a gate', () => {
  const plan = {
    database: 'orders', taskQueue: 'runbooks@db1', depth: 'standard', provider: 'archive', recoverTo: null, declaredAt: '1970-01-01T02:00:00.000Z',
    recoveryPoint: { id: 'p1', takenAt: '1970-01-01T01:00:00.000Z', sizeBytes: 400_000_000, timeline: 1, serverVersion: '18.4' },
    archive: { lastSegment: null, segments: 1, bytes: 16_000_000 }, predicted: { bytes: 416_000_000, seconds: 6, from: 'a guess' },
    manifest: { id: 'm1', databases: [{ name: 'orders', lsn: '0/1', tables: 39 }, { name: 'postgres', lsn: '0/1', tables: 2 }] },
    creates: { directory: '/var/drills/1beb27c9-<fence>', leaseMs: 4 * 3_600_000 }, checks: [{}, {}], probe: null, notVerified: { open: [], byDesign: ['x'] },
  };
  const told = (shown: unknown) => gateLines(view({ progress: { ...view().progress!, openGate: gate }, plan: { plan: shown, hash: gate.planHash, corrections: [], input: { database: 'orders' }, codeVersion: '1.2.3' } }), 2 * 3_600_000).slice(1, -1);
  it('says what is restored and how old it is, how long that takes, what is created where and until when, and what is compared', () => {
    expect(told(plan)).toEqual([
      '  restores  p1 (archive), taken 1970-01-01T01:00:00.000Z, 1 h 00 min ago',
      '  replays   to the end of the archive as it was at 1970-01-01T02:00:00.000Z',
      '  takes     about 6 s (a guess) for 416 MB: 400 MB, and 16.0 MB of archive',
      '  creates   /var/drills/1beb27c9-<fence> on db1, with a database server; <fence> is a number that the lock gives',
      '  expires   with the run, which ends at the latest 4 h 00 min after it gets the target',
      '  compares  every row and definition of orders (39 tables) and postgres (2 tables); own checks: 2; application probe: none',
      '  input     database: orders',
      '  code      version 1.2.3',
    ]);
  });
  it('says what it is held against', () => {
    const held = (objectives: object) => told({ ...plan, objectives }).find((line) => line.includes('aims at'));
    expect(held({ rto: 3_600_000, rpo: 60_000, rtaIs: 'withoutWait', failWhenMissed: true })).toBe('  aims at   RTO 1 h 00 min (without waiting for people), RPO 1 min 00 s; a run that misses one fails');
    expect(held({})).toBe('  aims at   neither an RTO nor an RPO');
  });
  it('stays short where much will stay unproven, and says what it left out', () => {
    const lines = told({ ...plan, notVerified: { open: Array.from({ length: 100 }, () => 'x'.repeat(1_000)) } });
    expect([lines.length, lines.at(-1), Math.max(...lines.map(({ length }) => length))]).toEqual([25, '  and 84 more: temporal workflow query --type plan', 402]);
  });
  it('says what will stay unproven, and to which instant it goes', () => {
    const lines = told({ ...plan, recoverTo: { time: '1970-01-01T01:30:00Z' }, manifest: null, notVerified: { open: ['rows: no manifest\u001B[2J'] } }).join('\n');
    expect(lines).toContain('replays   to 1970-01-01T01:30:00Z');
    expect(lines).toContain('compares  no rows, for want of a manifest');
    expect(lines).toContain('leaves    not verified: rows: no manifest');
    expect(lines).not.toContain('\u001B');
  });
  it('says that the run may succeed without a proof, where whoever started it asked for that', () => {
    expect(told({ ...plan, allowNotProven: true })).toContain('  allows    that something is not compared: the run succeeds all the same');
    expect(told({ ...plan, allowNotProven: false })).toEqual(told(plan));
  });
  it.each([
    [null, []], ['text', ['  text']], [{ writes: ['one', 'two'], minutes: 600 }, ['  writes: one, two', '  minutes: 600']],
  ])('says what is in one of another runbook: %j', (other, lines) => {
    const about = ['  code version: 1.2.3', '  input.database: orders'];
    expect(told(other).toSorted()).toEqual([...lines, ...about].toSorted());
  });
  it('says what is in one of a worker of another version, and nothing where the run does not tell it', () => {
    expect(told({ ...plan, creates: { directory: '/x', expiresAt: 'then' } })).toContain('  provider: archive');
    expect(gateLines(view({ progress: { ...view().progress!, openGate: gate } }), 0)).toHaveLength(2);
  });
});

describe('a run that does not answer', () => {
  const silent = (changes: Partial<RunView> = {}) => view({ progress: null, silence: 'a worker is there and cannot carry this run on: attempt 3', ...changes });
  it('says why while it runs, and nothing of it once it has ended', () => {
    // Within colours, where a terminal is looking.
    expect(runLines(silent(), new RateMeter(), 0)).toContainEqual(expect.stringContaining('a worker is there and cannot carry this run on: attempt 3'));
    expect(runLines(silent({ status: 'FAILED' }), new RateMeter(), 0).join('\n')).not.toContain('worker');
    const lines: string[] = [];
    const display = plainDisplay((line) => lines.push(line));
    for (const attempt of [3, 4, 5]) display.show(silent({ silence: `attempt ${attempt} failed` }), 0);
    expect(lines).toEqual([expect.stringContaining('attempt 3 failed')]);
  });
});

describe('plainDisplay', () => {
  it('says each thing once, and bytes every ten seconds', () => {
    const lines: string[] = [];
    const display = plainDisplay((line) => lines.push(line));
    for (let second = 20; second <= 45; second += 1) display.show(view({ activities: [activity({ bytesDone: second * 1_000_000 })] }), second * 1_000);
    expect(lines.filter((line) => line.endsWith(' copy'))).toHaveLength(1);
    expect(lines.filter((line) => line.includes('copying,'))).toHaveLength(3);
    expect(lines.join('\n')).not.toContain('\u001B');
  });
});

describe('terminalDisplay', () => {
  it('redraws over what it drew before, within the size of the terminal', () => {
    let written = '';
    const display = terminalDisplay({ write: (text) => { written = text; }, columns: 30, rows: 5 });
    const steps = Array.from({ length: 20 }, (_, index) => ({ name: `step ${index} with a long name`, outcome: 'running' as const, startedAt: '1970-01-01T00:00:00.000Z', finishedAt: null, summary: null }));
    const long = view({ progress: { ...view().progress!, steps } });
    display.show(long, 1_000);
    expect(written.split('\n')).toHaveLength(5);
    expect(written).toContain('step 19');
    display.show(long, 2_000);
    expect(written).toMatch(/^\u001B\[4A/); // oxlint-disable-line no-control-regex
  });

  it('cuts by what is seen, so that colours take no room', () => {
    const seen = cut(`\u001B[31m${'x'.repeat(50)}\u001B[39m`, 20).replaceAll(/\u001B\[\d+m/g, ''); // oxlint-disable-line no-control-regex
    expect(seen).toBe(`${'x'.repeat(18)}…`);
    expect(cut('short', 20)).toBe('short');
  });
});
