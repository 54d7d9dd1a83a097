import { Backup, ManifestRunbook } from './backup.ts';
import { DatabaseSnapshot } from './database-snapshot.ts';
import { DrTest } from './dr-test.ts';
import type { RunbookContract } from './runbook.ts';

/** Every runbook there is, by workflow type. */
export const RUNBOOKS: Readonly<Record<string, RunbookContract>> = { [DrTest.type]: DrTest, [Backup.type]: Backup, [ManifestRunbook.type]: ManifestRunbook, [DatabaseSnapshot.type]: DatabaseSnapshot };
