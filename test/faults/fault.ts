import type { DrillRun } from './drill-run.ts';
import type { Point } from './points.ts';
import type { Scene } from './scene.ts';

export interface Target<S extends Scene = Scene> { environment: S; run: DrillRun; point: Point }

/** A fault that was really delivered: when, and what shows it. What it set in motion ends with `relieve`. */
export interface Struck {
  atMs: number;
  proof: string;
  /** What was struck says so itself: the run's history need not. */
  isCertain?: true;
  /** Called once the run and its guardian are closed: what was taken away comes back. Answers what was wrong with it. */
  relieve?: () => Promise<string[] | void>;
}

export interface Fault<S extends Scene = Scene> {
  name: string;
  /** How the run must end. `recovered`: sound, as if nothing had happened. `fenced`: failed, since something that is not the drill's has its name. */
  expected: 'recovered' | 'terminated' | 'timedOut' | 'cancelled' | 'hostLost' | 'fenced';
  /** The activity aimed at must have been tried again. */
  retried: boolean;
  /** Input of the runs that it strikes, beside the requester. */
  input?: (environment: S) => Record<string, unknown>;
  /** After how long Temporal ends the runs that it strikes, wherever they are then. */
  executionTimeoutMs?: number;
  /** Called right before what is at a point begins: what comes at a time of its own is waited for here. */
  aim?(run: DrillRun): Promise<void>;
  /** Puts what is struck into the state that the fault is about; what it answers puts that back. */
  prepare?: (environment: S) => Promise<() => Promise<void>>;
  strikes(point: Point): boolean;
  /** Delivers the fault; null when there was nothing to strike. */
  strike(target: Target<S>): Promise<Struck | null>;
}
