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

export interface BackupResult { id: string; bytes: number; files: number; manifest: { tables: number; rows: number } | null; evidence: string }

export interface ManifestRunResult { id: string; file: string; tables: number; rows: number }
