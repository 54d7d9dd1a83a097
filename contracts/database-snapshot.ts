import { z } from 'zod';
import { defineRunbook } from './runbook.ts';

const input = z.strictObject({ database: z.string().max(100).optional(), requester: z.string().max(100).optional(), reason: z.string().max(500).optional() });

/** Takes a manual snapshot of an RDS instance. It waits for a drill to end: removing what is past its retention could take that its snapshot. */
export const DatabaseSnapshot = defineRunbook({
  type: 'database-snapshot', title: 'take a snapshot that RDS keeps, copy it, remove those that are past their retention', input, targetField: 'database',
  sharesTargetWith: ['manifest'], gates: [],
});

/** A snapshot that is whole. `takenAt`: RFC 3339, the moment that its data stands for. */
export interface TakenSnapshot { id: string; arn: string; where: string; takenAt: string; sizeBytes: number }

/**
 * What `temporal workflow result` shows. `copies`: in other regions and accounts; `removed`: those that were past their retention,
 * each as `id in where`; `evidence`: path of the evidence file.
 */
export interface DatabaseSnapshotResult { snapshot: TakenSnapshot; copies: TakenSnapshot[]; removed: string[]; evidence: string }
