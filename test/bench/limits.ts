/** The benches, and the rows of each one's table in its order. */
export const BENCH_ROWS = {
  'dr-test': ['drillVsScript', 'compareVsTextSql', 'compareVsCopyMd5', 'copyVsVerifiedCp', 'manifestImpact', 'orchestration', 'workerStart', 'cliHelp'],
  kernel: ['stepEvents', 'stepBytes', 'gateMemory'],
  detection: ['lateWithHistory', 'lateWithout', 'lateWithEvents', 'callsVsPoller'],
} as const;
/** As it is written after `npm run bench --`. */
export type BenchName = keyof typeof BENCH_ROWS;
/** What a row is called in `--only` and in the JSON; the names are relied on. */
export type RowName<Bench extends BenchName = BenchName> = (typeof BENCH_ROWS)[Bench][number];
/** In the order in which people are told of them. */
export const BENCH_NAMES = Object.keys(BENCH_ROWS) as BenchName[];

/** How much a row may come to: a ratio of two that are measured in turn, or seconds. */
export interface Limit {
  kind: 'ratio' | 'seconds';
  /** Met when the measured value is at most this. */
  atMost: number;
  /** What is measured, in one line for people. */
  title: string;
}

/** What each row must keep to; a limit is changed by the people who set it, never to make a run green. */
export const LIMITS: Readonly<Record<RowName, Limit>> = {
  drillVsScript: { kind: 'ratio', atMost: 1.05, title: 'whole drill / shell script with the same copy, recovery and comparison' },
  compareVsTextSql: { kind: 'ratio', atMost: 0.7, title: 'comparing all rows / one parallel sum of text hashes per table' },
  compareVsCopyMd5: { kind: 'ratio', atMost: 0.45, title: 'comparing all rows / COPY … TO STDOUT | md5sum' },
  copyVsVerifiedCp: { kind: 'ratio', atMost: 1.0, title: 'verified copy / cp -a and sha256sum -c' },
  manifestImpact: { kind: 'ratio', atMost: 1.2, title: 'p95 of the write latency while a manifest is taken / without' },
  orchestration: { kind: 'seconds', atMost: 1, title: 'a drill of a tiny database, outside of the work on it' },
  workerStart: { kind: 'seconds', atMost: 0.7, title: 'start of the process until the worker is ready, bundle built ahead' },
  cliHelp: { kind: 'seconds', atMost: 0.15, title: 'runbook --help' },
  stepEvents: { kind: 'ratio', atMost: 1.3, title: 'history events that a step adds / that its activity adds in a bare workflow' },
  stepBytes: { kind: 'ratio', atMost: 1.3, title: 'history bytes that a step adds / that its activity adds in a bare workflow' },
  gateMemory: { kind: 'ratio', atMost: 1.3, title: "a worker's memory for a run that waits at a gate / for a bare workflow on a condition" },
  lateWithHistory: { kind: 'seconds', atMost: 10, title: 'mean lateness of finding a managed restore ready, where earlier runs are known' },
  lateWithout: { kind: 'seconds', atMost: 20, title: 'the same, where none is' },
  lateWithEvents: { kind: 'seconds', atMost: 2, title: 'the same, with an event queue' },
  callsVsPoller: { kind: 'ratio', atMost: 1, title: 'looks / looks of a poller every 30 s, with earlier runs, without or with a queue, the largest' },
};
