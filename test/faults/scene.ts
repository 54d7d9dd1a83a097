import type { Client } from '@temporalio/client';
import type { DrillRun } from './drill-run.ts';
import type { Point } from './points.ts';
import type { SourceState } from './source-state.ts';
import type { WorkerProcess } from './worker-process.ts';

/** What faults strike, as the cases of every suite need it. */
export interface Scene {
  readonly client: Client;
  readonly evidenceDirectory: string;
  /** What evidence says here that nobody can verify. Default: what a demo's says. */
  readonly byDesign?: RegExp;
  /** The worker of this host that cases strike first. */
  worker: WorkerProcess;
  /** Starts another worker; of this host, or of one that poses as another. */
  startWorker(options?: { host?: string }): Promise<WorkerProcess>;
  /** What a drill must leave as it was. */
  readOthers(): Promise<SourceState>;
  /** What a run left. An empty list is what every case must end with. */
  findLeftovers(run: DrillRun): Promise<string[]>;
  /** Looks whether anything is done twice, until it is stopped. */
  watch(run: DrillRun): Watch;
  /** Whether what an activity lets others do is under way, so that a fault strikes in the middle. */
  isUnderWay(activity: string, run: DrillRun): boolean;
  /** Has what comes at a point take long enough to be struck in; called right before it begins. */
  linger?(point: Point): Promise<void>;
  /** Ends that for what comes later. */
  hasten?(): Promise<void>;
  /** Looks into evidence for what only this suite knows. */
  evidenceProblems?(run: DrillRun): Promise<string[]>;
  /** Ends everything and removes its files. Can be called twice. */
  stop(): Promise<void>;
}

/** What was done twice, or to others, is in what `stop` answers; it can be called twice. */
export interface Watch { stop(): Promise<string[]> }
