import { readdir, readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { manifestSchema, type Manifest } from '../../contracts/manifest.ts';
import type { RecoveryPoint } from '../../contracts/recovery-point.ts';
import { backupPaths, readProven, type ArchiveLayout } from '../archive/layout.ts';
import { RecoveryFailure } from '../archive/recovery-failure.ts';
import { parseSegmentFileName, segmentNumberOf, type WalContinuity } from '../archive/wal.ts';
import type { UsableManifest } from '../dr-test/provider.ts';
import { parseLsn } from '../postgres/lsn.ts';

/** The id of the manifest that a backup was published with; manifests taken alone have ids of their own. */
const OWN = 'backup';

/** Where manifests lie that were taken alone. */
export function manifestsDirectory(layout: ArchiveLayout): string {
  return join(layout.root, 'manifests');
}

/** A manifest by the id that {@link chooseManifest} gave it. Throws `BACKUP_DAMAGED` for a backup's own that is not what was published. */
export async function readManifestOf({ layout, point, manifestId }: { layout: ArchiveLayout; point: RecoveryPoint; manifestId: string }): Promise<Manifest> {
  if (manifestId !== OWN) return readManifest(manifestAlone(layout, manifestId));
  const own = await ownManifest(layout, point);
  if (!own) throw new RecoveryFailure('BACKUP_DAMAGED', `Backup "${point.id}" was published without a manifest.`, { files: ['manifest.json'] });
  return own;
}

function manifestAlone(layout: ArchiveLayout, manifestId: string): string {
  return join(manifestsDirectory(layout), `${manifestId}.json`);
}

/** Throws `ENOENT` when it is not there. */
export async function readManifest(file: string): Promise<Manifest> {
  return manifestSchema.parse(JSON.parse(await readFile(file, 'utf8')));
}

export interface ChooseManifestArgs { layout: ArchiveLayout; point: RecoveryPoint; wal: WalContinuity; until: string | null }

/**
 * The newest manifest of the same cluster and timeline whose positions all lie between the end of the backup and the end
 * of the archive: the later it is, the more WAL a comparison at it proves. The backup's own was published when the archive
 * had passed it: where that WAL is nowhere now, it was lost, and recovery must fail on it rather than do without.
 */
export async function chooseManifest({ layout, point, wal, until }: ChooseManifestArgs): Promise<UsableManifest | undefined> {
  const own = await ownManifest(layout, point);
  const alone = await Promise.all((await namesAlone(layout)).map(async (id) => ({ id, manifest: await readManifest(manifestAlone(layout, id)).catch(() => undefined) })));
  const { walSegmentSize: segmentSize } = point;
  const segmentOf = (lsn: string) => segmentNumberOf(parseLsn(lsn), segmentSize);
  const isArchived = (lsn: string) => wal.segments.some(({ segmentNumber }) => segmentNumber === segmentOf(lsn));
  const comesLater = (lsn: string) => wal.late.some((name) => parseSegmentFileName(name, segmentSize)?.segmentNumber === segmentOf(lsn));
  const candidates = [...(own ? [{ id: OWN, manifest: own }] : []), ...alone].filter((entry): entry is UsableManifest => {
    const { manifest } = entry;
    return manifest !== undefined && manifest.systemIdentifier === point.systemIdentifier && manifest.timeline === point.timeline
      && manifest.databases.every(({ lsn, takenAt }) => parseLsn(lsn) >= parseLsn(point.stopLsn)
        && (isArchived(lsn) || (entry.id === OWN && !comesLater(lsn)))
        && (until === null || Date.parse(takenAt) <= Date.parse(until)));
  });
  return candidates.sort((a, b) => Number(firstLsn(b) - firstLsn(a)))[0];
}

function firstLsn({ manifest }: UsableManifest): bigint {
  return parseLsn(manifest.databases[0]?.lsn ?? '0/0');
}

/** The backup's own must be what was published: a backup whose manifest is lost or changed is damaged, not one without. */
async function ownManifest(layout: ArchiveLayout, point: RecoveryPoint): Promise<Manifest | undefined> {
  const file = backupPaths(join(layout.backups, point.id)).manifest;
  const damaged = (what: string, cause?: unknown) => new RecoveryFailure('BACKUP_DAMAGED', `${file} ${what}`, { files: ['manifest.json'], cause });
  if (point.manifestSha256 === null) {
    if (await stat(file).then(() => true, () => false)) throw damaged('was not there when the backup was published.');
    return undefined;
  }
  const bytes = await readProven(file, point.manifestSha256);
  try {
    return manifestSchema.parse(JSON.parse(bytes.toString('utf8')));
  } catch (error) {
    throw damaged(`is not a manifest that can be read: ${(error as Error).message}`, error);
  }
}

async function namesAlone(layout: ArchiveLayout): Promise<string[]> {
  const names = await readdir(manifestsDirectory(layout)).catch(() => []);
  return names.filter((name) => /^[A-Za-z0-9._-]+\.json$/.test(name)).map((name) => name.slice(0, -'.json'.length));
}
