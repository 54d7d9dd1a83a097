import { defineConfig } from 'vitest/config';
import { BaseSequencer, type TestSpecification } from 'vitest/node';
import { busyLanes } from './test/support/lanes.ts';
import { PATIENT } from './test/support/patience.ts';

/** Take minutes and say so by nothing that a fresh clone could know: begun last, they would keep everything waiting. */
const LONGEST = [
  /workflows\/waiting-for-people/, /breadth\/lock-looks/, /breadth\/unguarded-ends/, /samples\/faults/, /integration\/kernel-adversity/, /integration\/backup\.test/, /integration\/dr-test\.test/, /integration\/locks/, /integration\/dr-test-broken\.test/, /integration\/recovery-points/,
  /integration\/dr-test-rds/, /integration\/cli-live/, /integration\/dr-test-refusals/, /integration\/dr-test-broken-catalog/, /integration\/kernel\.test/, /samples\/soak/, /integration\/random-steering/,
  /integration\/cli-refusals/, /integration\/drill-server/, /integration\/public-schema/, /integration\/embedded-server/, /integration\/isolation-whole-drill/, /integration\/gate-recheck/, /alone\/measurements/,
];

/**
 * picocolors paints for whoever sets CI or FORCE_COLOR: what commands say is compared without. And a test that hangs is
 * ended; but a machine that is shared has been seen to take four times as long as on another day.
 */
const PLAIN = { env: { NO_COLOR: '1' }, testTimeout: 900_000, hookTimeout: 900_000, expect: { poll: { timeout: PATIENT.timeout } } };

/** A server that skips time lives for seconds: too short for what Java's better compiler and collector cost. A third less of the processor's time. */
const BRIEF_JVM = { JDK_JAVA_OPTIONS: '-XX:TieredStopAtLevel=1 -XX:+UseSerialGC' };

/** Loading everything anew for each file takes nearly half of the processor's time of unit tests: files share processes, and put back what they changed in them. */
const SHARED = { ...PLAIN, isolate: false, setupFiles: ['test/support/leaves-nothing-behind.ts'] };

/** Puts something in a module's place, which works where no other file has loaded that module. */
const MOCKED = 'test/unit/**/*.mocked.test.ts';

/** By the processor mostly; some wait for a server that skips time. */
const BOUND = { ...SHARED, maxWorkers: 4, sequence: { groupOrder: 0 } };

/** Each file starts servers and databases of its own, and waits for time-outs most of the while. */
const BUSY = { ...SHARED, maxWorkers: await busyLanes(), sequence: { groupOrder: 1 } };

class LongestFirst extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const rank = ({ moduleId }: TestSpecification): number => { const place = LONGEST.findIndex((pattern) => pattern.test(moduleId)); return place < 0 ? LONGEST.length : place; };
    return (await super.sort(files)).sort((a, b) => rank(a) - rank(b));
  }
}

/**
 * Kinds of test: what is bound by the processor comes first, then all that is busy with real servers, several files at a
 * time, and last what measures time, which must not compete with anything.
 * `npm test -- --project unit` runs one kind. `npm test` leaves out `browser`, which needs a browser: `npm run browser`, `benches`, and `breadth`: `npm run breadth`.
 */
export default defineConfig({
  test: {
    // Keep one failing test's error readable: SDK workers log a lot.
    silent: 'passed-only',
    reporters: ['default'],
    passWithNoTests: true,
    globalSetup: ['test/support/place-of-this-run.ts'],
    sequence: { sequencer: LongestFirst },
    projects: [
      { test: { name: 'unit', include: ['test/unit/**/*.test.ts'], exclude: [MOCKED], ...BOUND } },
      { test: { name: 'mocked', include: [MOCKED], ...BOUND, isolate: true } },
      { test: { name: 'workflows', include: ['test/workflows/**/*.test.ts'], ...BOUND, env: { ...PLAIN.env, ...BRIEF_JVM } } },
      { test: { name: 'replay', include: ['test/replay/**/*.test.ts'], ...BOUND } },
      { test: { name: 'integration', include: ['test/integration/**/*.test.ts'], ...BUSY } },
      // What has an npm script of its own for the whole: each is busy with several drills at once.
      { test: { name: 'samples', include: ['test/samples/**/*.test.ts'], ...BUSY } },
      {
        test: {
          // Next to busy ones these would measure something else. Each waits most of the time, so two do not.
          name: 'alone', include: ['test/alone/**/*.test.ts'],
          ...PLAIN, maxWorkers: 2, sequence: { groupOrder: 2 },
        },
      },
      // What `npm test` has a part of: RDS, resets, runs without a guardian, waits of days, floods of messages, hostile input, a production that blocks, whether the AWS lab is like AWS, what former versions left running, what is as large as a server takes.
      { test: { name: 'breadth', include: ['test/breadth/**/*.test.ts'], ...BUSY, env: { ...PLAIN.env, ...BRIEF_JVM }, sequence: { groupOrder: 3 } } },
      // Keeps both cores of a small machine busy for a minute and a half, to find out whether benches still run to their end.
      { test: { name: 'benches', include: ['test/benches/**/*.test.ts'], ...PLAIN, sequence: { groupOrder: 5 } } },
      {
        test: {
          name: 'browser', include: ['test/browser/**/*.test.ts'],
          ...PLAIN, fileParallelism: false, sequence: { groupOrder: 4 },
        },
      },
    ],
  },
});
