/** The rows of the table, in its order. */
export const ROW_NAMES = ['drillVsScript', 'compareVsTextSql', 'compareVsCopyMd5', 'copyVsVerifiedCp', 'manifestImpact', 'orchestration', 'workerStart', 'cliHelp'] as const;
export type RowName = (typeof ROW_NAMES)[number];

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
};
