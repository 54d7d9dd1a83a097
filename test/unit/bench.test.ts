import { describe, expect, test } from 'vitest';
import { parseBenchArguments, UsageError } from '../bench/arguments.ts';
import { interleave } from '../bench/interleave.ts';
import { gateMemory } from '../bench/kernel/gate-memory.ts';
import { steps } from '../bench/kernel/steps.ts';
import { BENCH_ROWS, LIMITS } from '../bench/limits.ts';
import { ratioOutcome, secondsOutcome } from '../bench/outcome.ts';
import { jsonLine, rowLines, verdictLine } from '../bench/report.ts';
import { judgeLength } from '../bench/rows/drill.ts';
import { ROW_GROUPS } from '../bench/rows/all.ts';
import { bySecond, median, percentile, summarise } from '../bench/statistics.ts';
import { secondsCovered, workIntervals } from '../bench/work-intervals.ts';

const ROW_NAMES = BENCH_ROWS['dr-test'];

describe('statistics', () => {
  test('the median is the middle one, or the mean of the two in the middle, whatever the order', () => {
    expect(median([9, 1, 5])).toBe(5);
    expect(median([10, 2, 4, 100])).toBe(7);
    expect(median([3])).toBe(3);
  });

  test('a percentile is the smallest sample that so many do not exceed', () => {
    const hundred = Array.from({ length: 100 }, (_, index) => 100 - index);
    expect(percentile(hundred, 0.95)).toBe(95);
    expect(percentile(hundred, 0.07)).toBe(7);
    expect(percentile(hundred, 1)).toBe(100);
    expect(percentile([5, 1], 0.5)).toBe(1);
    expect(percentile([7], 0.01)).toBe(7);
    expect(() => percentile(hundred, 95)).toThrow(RangeError);
  });

  test('one outlier moves the most, not the median absolute deviation', () => {
    expect(summarise([10, 11, 12, 13, 500])).toEqual({ median: 12, least: 10, most: 500, mad: 1 });
  });

  test('the latencies of each whole second, by when an operation was due', () => {
    expect(bySecond([[999, 1], [1000, 2], [1999, 3], [2000, 4], [4000, 5], [4500, 6]], { from: 1000, to: 4700 })).toEqual([[2, 3], [4]]);
    // Ended by a timer that fired early.
    expect(bySecond([[0, 1], [999, 2]], { from: 0, to: 999.4 })).toEqual([[1, 2]]);
  });

  test('nothing, and what is no number, cannot be summarised', () => {
    expect(() => median([])).toThrow('no measurements');
    expect(() => summarise([1, Number.NaN])).toThrow('NaN is no measurement');
  });
});

describe('outcomes', () => {
  test('a ratio is that of the medians, with the range of single repetitions', () => {
    const outcome = ratioOutcome('compareVsTextSql', { name: 'ours', samples: [1, 2, 9] }, { name: 'text', samples: [4, 4, 6] });
    expect(outcome).toMatchObject({ value: 0.5, met: true, ratioRange: [0.25, 1.5] });
  });

  test('a paired ratio is the median of those of neighbours: a machine that drifts does not move it', () => {
    const outcome = ratioOutcome('manifestImpact', { name: 'with', samples: [11, 22, 330] }, { name: 'without', samples: [10, 200, 300] }, { paired: true });
    expect(outcome).toMatchObject({ value: 1.1, met: true });
    expect(ratioOutcome('manifestImpact', { name: 'with', samples: [13, 260, 390] }, { name: 'without', samples: [10, 200, 300] }, { paired: true })).toMatchObject({ value: 1.3, met: false });
  });

  test('what is not judged is not met, and says so, however good its value', () => {
    const short = ratioOutcome('drillVsScript', { name: 'drill', samples: [1] }, { name: 'script', samples: [2] }, { notJudged: 'the script was too short' });
    expect(short.met).toBe(false);
    expect(rowLines(short)[0]).toMatch(/^drillVsScript +0\.500 +limit 1\.05 +NOT JUDGED/);
    expect(rowLines(short).at(-1)).toContain('the script was too short');
    expect(verdictLine([short, secondsOutcome('cliHelp', [0.1]), secondsOutcome('orchestration', [2])])).toBe('missed: orchestration; not judged: drillVsScript');
    expect(verdictLine([secondsOutcome('cliHelp', [0.1])])).toBe('every limit is met');
  });

  test('a script that took less than 30 s shows nothing of the limit; whoever tries it once is only told', () => {
    expect(judgeLength([30, 30, 31, 31, 31], 5)).toEqual({ notJudged: null, notes: [] });
    expect(judgeLength([29, 29, 29, 31, 31], 5)).toEqual({ notJudged: expect.stringMatching(/less than 30 s: .*--size/) as string, notes: [] });
    expect(judgeLength([1], 1)).toEqual({ notJudged: null, notes: [expect.stringMatching(/less than 30 s/)] });
  });

  test('at the limit is met, above it is missed and says so with its number', () => {
    expect(secondsOutcome('orchestration', [1]).met).toBe(true);
    const missed = secondsOutcome('orchestration', [1.001]);
    expect(missed.met).toBe(false);
    expect(rowLines(missed)[0]).toMatch(/^orchestration +1\.001 s +limit 1 s +MISSED/);
  });

  test('the last line has ratios and seconds apart, and only what was measured', () => {
    const line = jsonLine('dr-test', [ratioOutcome('copyVsVerifiedCp', { name: 'a', samples: [1] }, { name: 'b', samples: [3] }), secondsOutcome('cliHelp', [0.125])]);
    expect(JSON.parse(line)).toEqual({ bench: 'dr-test', ratios: { copyVsVerifiedCp: 0.3333 }, seconds: { cliHelp: 0.125 } });
    expect(line).not.toContain('\n');
  });

  test('the kernel has only ratios, of at most 1.3, and its line says whose they are', () => {
    expect(BENCH_ROWS.kernel.map((name) => LIMITS[name])).toEqual(BENCH_ROWS.kernel.map(() => expect.objectContaining({ kind: 'ratio', atMost: 1.3 }) as unknown));
    const line = jsonLine('kernel', [ratioOutcome('stepEvents', { name: 'step', samples: [7] }, { name: 'bare', samples: [6] }, { unit: 'events' })]);
    expect(JSON.parse(line)).toEqual({ bench: 'kernel', ratios: { stepEvents: 1.1667 }, seconds: {} });
  });

  test('every row of a table is measured by exactly one group', () => {
    expect(ROW_GROUPS.flatMap(({ names }) => names).toSorted()).toEqual(ROW_NAMES.toSorted());
    expect([steps, gateMemory].flatMap(({ names }) => names).toSorted()).toEqual(BENCH_ROWS.kernel.toSorted());
  });
});

test('contenders take turns in alternating order; warm-ups do not count, and what follows a run happens also when it fails', async () => {
  const order: string[] = [];
  const contender = (name: string) => ({ name, run: async () => { order.push(name); return order.length; } });
  const samples = await interleave([contender('a'), contender('b')], { repetitions: 3, warmUps: 1 });
  expect(order.join('')).toBe('baabbaab');
  expect([...samples]).toEqual([['a', [3, 6, 7]], ['b', [4, 5, 8]]]);
  let cleaned = false;
  await expect(interleave([{ name: 'c', run: () => Promise.reject(new Error('broken')), after: async () => { cleaned = true; } }], { repetitions: 1 })).rejects.toThrow('broken');
  expect(cleaned).toBe(true);
});

describe('arguments', () => {
  test('of the kernel have ten thousand runs by default, and take others', () => {
    expect(parseBenchArguments(['kernel'])).toEqual({ bench: 'kernel', json: false, rows: BENCH_ROWS.kernel, repetitions: 1, runs: 10_000 });
    expect(parseBenchArguments(['kernel', '--runs', '500', '--repetitions=3', '--json', '--only', 'gateMemory,stepBytes'])).toEqual({ bench: 'kernel', json: true, rows: ['stepBytes', 'gateMemory'], repetitions: 3, runs: 500 });
  });

  test('have defaults that measure the whole table five times on at least 1 GB', () => {
    const settings = parseBenchArguments(['dr-test']);
    expect(settings).toMatchObject({ json: false, rows: ROW_NAMES, repetitions: 5 });
    expect(settings.bench === 'dr-test' && settings.bytes).toBeGreaterThanOrEqual(2 ** 30);
  });

  test('take sizes with and without unit, and rows as a list or one by one, in the order of the table', () => {
    expect(parseBenchArguments(['dr-test', '--size', '1.5GB', '--repetitions', '7', '--json'])).toMatchObject({ bytes: 1.5 * 2 ** 30, repetitions: 7, json: true });
    expect(parseBenchArguments(['dr-test', '--size=20m'])).toMatchObject({ bytes: 20 * 2 ** 20 });
    expect(parseBenchArguments(['dr-test', '--size', '1073741824'])).toMatchObject({ bytes: 2 ** 30 });
    expect(parseBenchArguments(['dr-test', '--only', 'cliHelp,manifestImpact', '--only', 'workerStart']).rows).toEqual(['manifestImpact', 'workerStart', 'cliHelp']);
  });

  test.each([
    [[], 'none was named'], [['other'], '"other"'], [['dr-test', 'more'], 'more'], [['dr-test', '--fast'], '--fast'],
    [['dr-test', '--only', 'cliHelp,speed'], '"speed"'], [['dr-test', '--repetitions', '0'], '--repetitions'], [['dr-test', '--repetitions', '2.5'], '--repetitions'],
    [['dr-test', '--repetitions', ''], '--repetitions'], [['dr-test', '--size', 'big'], '--size'], [['dr-test', '--size', '12'], '--size'], [['dr-test', '--size', '3XB'], '--size'],
    [['dr-test', '--runs', '5'], '--runs is for kernel'], [['kernel', '--size', '1GB'], '--size is for dr-test'], [['kernel', '--window', '5'], '--window is for dr-test'], [['kernel', '--runs', '0'], '--runs'], [['kernel', '--only', 'cliHelp'], '"cliHelp"'],
  ])('%j is wrong use, and the message names it', (words, named) => {
    expect(() => parseBenchArguments(words)).toThrow(UsageError);
    expect(() => parseBenchArguments(words)).toThrow(named);
  });
});

test('time at work is what any activity covers whose time grows with the data; all others count as orchestration', () => {
  expect(secondsCovered([[2000, 3000], [0, 1000], [500, 1500], [2200, 2300]])).toBe(2.5);
  expect(secondsCovered([])).toBe(0);
  const at = (seconds: number) => ({ eventTime: { seconds: seconds as never, nanos: 5e8 } });
  const history = (name: string, from: number, to: number, id: number) => [
    { eventId: id as never, ...at(from), activityTaskScheduledEventAttributes: { activityType: { name } } },
    { eventId: (id + 1) as never, ...at(from), activityTaskStartedEventAttributes: { scheduledEventId: id as never } },
    { eventId: (id + 2) as never, ...at(to), activityTaskCompletedEventAttributes: { startedEventId: (id + 1) as never } },
  ];
  const events = [...history('copyBackup', 10, 12, 1), ...history('readLedger', 20, 21, 4), ...history('awaitRunEnd', 1, 99, 7), ...history('checkDrillIsPossible', 30, 40, 10), ...history('closeDrillPlace', 40, 41, 13)];
  expect(workIntervals(events, 'drill')).toEqual([[10500, 12500]]);
  expect(workIntervals(events, 'all')).toEqual([[10500, 12500], [20500, 21500], [30500, 40500], [40500, 41500]]);
});
