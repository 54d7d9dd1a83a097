import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { RecoveryPoint } from '../../contracts/recovery-point.ts';

const sha256 = '0'.repeat(64);

/** What a backup says of itself, for tests of what is decided by that alone. */
export function describedBackup(over: Partial<RecoveryPoint> = {}): RecoveryPoint {
  return {
    schemaVersion: 1, id: 'b1', kind: 'baseBackup', systemIdentifier: '7', serverVersion: '18.1', serverMajor: 18, architecture: 'x64', glibcVersion: null,
    timeline: 1, startLsn: '0/2000028', stopLsn: '0/2000120', startedAt: '2026-01-01T00:00:00.000Z', stoppedAt: '2026-01-01T00:01:00.000Z', publishedAt: '2026-01-01T00:03:00.000Z',
    walSegmentSize: 2 ** 24, blockSize: 8192, dataChecksums: true, sizeBytes: 1, fileCount: 1,
    filesSha256: sha256, backupLabelSha256: sha256, tablespaceMapSha256: sha256, manifestSha256: null, tablespaces: [],
    settings: { max_connections: 1, max_worker_processes: 1, max_wal_senders: 1, max_prepared_transactions: 0, max_locks_per_transaction: 1 },
    databases: [], bootstrapSuperuser: 'postgres', roleNames: [], sourceDataDirectory: '/data', sourceSocketDirectories: [], sourcePort: 5432, ...over,
  };
}

/** Writes a description as that of a published backup. */
export function publishDescription(backups: string, point: RecoveryPoint): void {
  mkdirSync(join(backups, point.id), { recursive: true });
  writeFileSync(join(backups, point.id, 'backup.json'), JSON.stringify(point));
}
