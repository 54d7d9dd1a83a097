import { z } from 'zod';
import type { PlannedCosts } from './costs.ts';
import type { CheckSetting, HeartbeatSetting, Objectives, ProbeSetting } from './configuration.ts';
import { defineRunbook } from './runbook.ts';
import type { Verdict } from './evidence.ts';
import type { NotVerifiedReasons } from './record.ts';
import type { AwsAccess } from './rds.ts';

const instant = z.iso.datetime({ offset: true, error: 'write an instant as in 2026-11-21T03:00:00Z' });

/** What may stand after `--input` of `temporal workflow start`: what is left out has a default, and what is not known is refused. */
export const drTestInputSchema = z.strictObject({
  /** Name from the configuration; may be left out when there is only one. */
  database: z.string().max(100).optional(),
  recoveryPoint: z.union(
    [z.enum(['latest', 'random']), z.strictObject({ id: z.string().regex(/^[A-Za-z0-9._:-]{1,255}$/, 'an id has 1 to 255 letters, digits, dots, colons, _ and -') }), z.strictObject({ time: instant })],
    { error: 'must be "latest", "random", {"id":"…"} or {"time":"2026-11-21T03:00:00Z"}' },
  ).default('latest'),
  depth: z.enum(['quick', 'standard']).default('standard'),
  /** When the (real or assumed) disaster was declared: RTA and RPA count from here. Default: start of the run. */
  declaredAt: instant.optional(),
  /** As in the configuration, for this run. Default: what the configuration says. */
  allowNotProven: z.boolean().optional(),
  reason: z.string().max(500).optional(),
  requester: z.string().max(100).optional(),
});

/** The restore test: restores a real backup, compares every row, measures RTO and RPO, and leaves nothing behind. */
export const DrTest = defineRunbook({
  type: 'dr-test',
  title: 'restore a backup, compare every row, measure RTA and RPA, tear down',
  input: drTestInputSchema,
  targetField: 'database',
  sharesTargetWith: ['backup', 'manifest'],
  gates: ['start'],
});

/** What `temporal workflow result` shows. */
export interface DrTestResult {
  verdict: Verdict;
  /** With everything. */
  rtaSeconds: number | null;
  /** The one that was held against the RTO, and which that is. */
  judgedRtaSeconds: number | null;
  rtaIs: Objectives['rtaIs'];
  rpaSeconds: number | null;
  evidence: string;
  report: string;
}

/** What is known, before anything is created, about the restore that will be done. The gate approves its hash. */
export interface DrillPlan {
  database: string;
  taskQueue: string;
  depth: 'quick' | 'standard';
  provider: string;
  recoveryPoint: { id: string; takenAt: string; sizeBytes: number; timeline: number; serverVersion: string };
  /** Of `random`, what was drawn from what, in words. Decisions are about the point itself. */
  drawn?: string;
  /** What recovery aims at; null means the end of what was archived at {@link declaredAt}. */
  recoverTo: { time: string } | null;
  declaredAt: string;
  /** The archive as it stood at {@link declaredAt}. */
  archive: { lastSegment: string | null; segments: number; bytes: number };
  /** Which of the point's manifests, and where it stops recovery in each database. */
  manifest: { id: string; databases: { name: string; lsn: string; tables: number }[] } | null;
  /** Where it is not the manifest alone, at whose positions recovery stops: `living source`, with which the copy is compared after it was restored. */
  comparesWith?: 'living source';
  /** `from`: what the time was predicted from, in words. */
  predicted: { bytes: number; seconds: number; from: string };
  /** What that will cost; left out where nothing that is billed is made. Decisions are not about it. */
  costs?: PlannedCosts;
  /** `directory` as it will be named, but for the fence, which the lock gives; it is removed when the run ends, `leaseMs` after the grant at the latest. `access`: by whose rights and in which region it is, where it is in AWS. */
  creates: { directory: string; leaseMs: number; access?: AwsAccess };
  objectives: Objectives;
  checks: CheckSetting[];
  probe: ProbeSetting | null;
  heartbeat: HeartbeatSetting | null;
  allowNotProven: boolean;
  /** What is known beforehand not to be verified, and why. */
  notVerified: NotVerifiedReasons;
  /** What the source had when the plan was made; null when it did not answer. */
  source: { lsn: string; systemIdentifier: string; clockSkewSeconds: number } | null;
  /** Why the source did not answer; null when it did. */
  sourceSilence: string | null;
  /** When planning was scheduled, by Temporal's clock, and when it began and ended, by that of the host that will drill. */
  clocks: { scheduledAt: string; beganAt: string; endedAt: string };
  /** The instant of the declaration by the clock of that host: what was published later, or archived, is none of the drill's. Plans of older code have none. */
  publishedUntil?: string;
}
