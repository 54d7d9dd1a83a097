import type { NotVerifiedReasons } from '../../contracts/record.ts';
import type { Check } from '../../contracts/evidence.ts';
import type { DrillPlan } from '../../contracts/dr-test.ts';
import type { AbsenceProof, Owner, PlaceCall } from '../../contracts/ledger.ts';
import type { AwsAccess } from '../../contracts/rds.ts';

/** What the run was asked for, and what it knows already where it plans once more. Instants are RFC 3339. */
export interface PlanDrillInput {
  database: string;
  recoveryPoint: 'latest' | 'random' | { id: string } | { time: string };
  depth: 'quick' | 'standard';
  declaredAt: string;
  /** Outranks the configuration's. */
  allowNotProven?: boolean | undefined;
  /** That it was left out, and is the start of the run by Temporal's clock: all that is published by then was there. A run of older code does not say. */
  isDeclaredAtStart?: boolean;
  /** What a plan of this run held already: by when something had to be published. Measured anew, the same backup might be too late. */
  publishedUntil?: string | undefined;
  /** What that plan counted on, of its recovery point: what touched it since makes no other plan. A run of older code does not say. */
  planned?: { recoveryPointId: string; lastPiece: string | null } | undefined;
  /** Start of the run: a disaster cannot have been declared after it. */
  startedAt: string;
  owner: Owner;
  leaseMs: number;
}

/** Names a drill in calls; everything else is found from the configuration and the drill's own directory. */
export interface DrillRef { database: string; recoveryPointId: string; fence: number; owner: Owner }

/** `made`: what was made, where that is no copy of files. `user`: that the copy runs as production's own, in words, where it does; a worker of older code beside ours does not say. */
export interface CopyResult { bytes: number; files: number; walSegments: number; seconds: number; made?: string; isolation: { network: 'isolated' | 'notIsolated'; mounts: 'isolated' | 'notIsolated'; reason: string; user?: string } }

/** `lsn`: where the manifest of one database was taken; the copy waits there, before what lies behind it. */
export interface RecoverToManifestInput { drill: DrillRef; lsn: string }

/** Of the time that a replay took, what only brought the copy back to where it had waited to be compared. A worker of older code beside ours does not say. */
export interface Replay { repeatedSeconds?: number }

/** `replayedLsn`: where the copy waits now; `seconds`: what this took, with what was repeated. */
export interface RecoverToManifestResult extends Replay { replayedLsn: string; seconds: number }

/** Which database of the copy, and with what; `quick` counts rows only. */
export interface CompareInput { drill: DrillRef; manifestId: string; database: string; depth: 'quick' | 'standard' }
/** `counted`: tables of which no more than the number of rows was compared; they are not among `tables`. A worker of older code beside ours does not say. */
export interface CompareResult { tables: number; rows: number; counted?: { tables: number; rows: number }; objects: number; checks: Check[]; notVerified: NotVerifiedReasons; seconds: number }

/** Where the end is was settled when the copy was made, by the plan. */
export interface RecoverToEndInput { drill: DrillRef }
/** `stoppedBeforeLater` as in `RecoveredEnd`. */
export interface RecoverToEndResult extends Replay { endLsn: string; lastCommitAt: string | null; stoppedBeforeLater: boolean; replaySeconds: number; promotionSeconds: number }

/** What was restored, by what plan, and how far it came. */
export interface MeasureLossInput {
  drill: DrillRef;
  plan: DrillPlan;
  recovered: RecoverToEndResult;
  /** How far the host of the drill is ahead of the clock that the plan's `declaredAt` was read from. */
  declarationSkewSeconds: number;
}
/** What was lost at the declaration. Numbers are null where they could not be measured; `method` says how, or why not. */
export interface LossResult {
  rpaSeconds: number | null;
  lostTransactions: number | null;
  method: string;
  clockSkewSeconds: number | null;
  checks: Check[];
  /** What was only found out by then. A worker of older code beside ours does not say. */
  notVerified?: NotVerifiedReasons;
}

/** What a restore test does on the host of the drill. Implementations differ by backup tool; the workflow does not. */
export interface DrillActivities {
  planDrill(input: PlanDrillInput): Promise<DrillPlan>;
  checkDrillIsPossible(input: { plan: DrillPlan }): Promise<Check[]>;
  copyBackup(input: { drill: DrillRef; plan: DrillPlan }): Promise<CopyResult>;
  recoverToManifest(input: RecoverToManifestInput): Promise<RecoverToManifestResult>;
  compareWithManifest(input: CompareInput): Promise<CompareResult>;
  recoverToEnd(input: RecoverToEndInput): Promise<RecoverToEndResult>;
  /**
   * The copy's own state and the owner's assertions; `skipped`: one that did not finish. `hasFailed`: an earlier check has.
   * That counts, and not a mistake in the configuration, which is then `skipped` too.
   */
  runChecks(input: { drill: DrillRef; plan: DrillPlan; recovered: RecoverToEndResult; hasFailed: boolean }): Promise<Check[]>;
  /** `hasFailed` as in {@link DrillActivities.runChecks}. */
  probeApplication(input: { drill: DrillRef; plan: DrillPlan; hasFailed: boolean }): Promise<Check[]>;
  measureLoss(input: MeasureLossInput): Promise<LossResult>;
  openDrillPlace(input: DrillPlaceCall): Promise<void>;
  closeDrillPlace(input: DrillPlaceCall): Promise<{ destroyed: string[] }>;
  proveDrillAbsent(input: DrillPlaceCall): Promise<AbsenceProof>;
}

/** What the guardian calls with, to open a drill's place, to destroy what is in it, and to prove that nothing is left. */
export interface DrillPlaceCall extends PlaceCall {
  database: string;
  /** Where the place is, as it was planned: the configuration may say something else by now. A run of older code does not say. */
  access?: AwsAccess;
  /** Of what is restored, where a service has to know it to make the place. A run of older code does not say. */
  serverVersion?: string;
}
