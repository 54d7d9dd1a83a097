import { z } from 'zod';
import { defineRunbook } from './runbook.ts';

const input = z.strictObject({ database: z.string().max(100).optional(), requester: z.string().max(100).optional(), reason: z.string().max(500).optional() });

/** Takes a base backup and its exact manifest, and publishes both at once. */
export const Backup = defineRunbook({
  type: 'backup', title: 'take a base backup with an exact manifest', input, targetField: 'database',
  sharesTargetWith: ['dr-test'], gates: [],
});

/** Takes a manifest alone, for backups that other tools made. */
export const ManifestRunbook = defineRunbook({
  type: 'manifest', title: 'take an exact manifest alone', input, targetField: 'database',
  sharesTargetWith: ['dr-test'], gates: [],
});

/**
 * What `temporal workflow result` shows. `manifest`: null where the source can give none, or taking it would have cost production
 * too much; `evidence`: path of the evidence file.
 */
export interface BackupResult { id: string; bytes: number; files: number; manifest: { tables: number; rows: number } | null; evidence: string }

/** What `temporal workflow result` shows. `file`: path of the manifest on the host that took it; `rows`: of all of its tables together. */
export interface ManifestRunResult { id: string; file: string; tables: number; rows: number }
