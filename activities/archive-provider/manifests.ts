import { mkdir, readdir, readFile, rename, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { manifestSchema, type Manifest } from '../../contracts/manifest.ts';
import type { RecoveryPoint } from '../../contracts/recovery-point.ts';
import { backupPaths, readProven, sha256Of, type ArchiveLayout } from '../archive/layout.ts';
import { RecoveryFailure } from '../archive/recovery-failure.ts';
import { parseSegmentFileName, segmentNumberOf, type WalContinuity } from '../archive/wal.ts';
import type { ChosenManifest, UnusablePoint, UsableManifest } from '../dr-test/provider.ts';
import { parseLsn } from '../postgres/lsn.ts';

/** Name and hash in the name of a manifest's file. */
const ALONE = /^([A-Za-z0-9._-]+)\.([0-9a-f]{64})\.json$/;
/** The id of the manifest that a backup was published with; manifests taken alone have ids of their own. */
const OWN = 'backup';

/** Where manifests lie that were taken alone. */
export function manifestsDirectory(layout: ArchiveLayout): string {
  return join(layout.root, 'manifests');
}

/**
 * Publishes a manifest that was taken alone, under a name that says its hash; returns where it is. Safe to repeat: what was
 * published under the name before is given back.
 */
export async function publishManifestAlone(layout: ArchiveLayout, { name, file }: { name: string; file: string }): Promise<string> {
  const directory = manifestsDirectory(layout);
  await mkdir(directory, { recursive: true, mode: 0o700 });
  const written = await readFile(file).catch((error: NodeJS.ErrnoException) => {
    if (error.code !== 'ENOENT') throw error;
    return undefined;
  });
  if (written === undefined) {
    const published = (await listAlone(layout)).alone.find((one) => one.name === name);
    if (!published) throw new RecoveryFailure('FENCED', `${file} is gone, and no manifest ${name} was published.`);
    await readAlone(published);
    return published.file;
  }
  const target = join(directory, `${name}.${sha256Of(written)}.json`);
  await rename(file, target);
  return target;
}

/**
 * A manifest by the id that {@link chooseManifest} gave it, proven by its hash.
 * @throws RecoveryFailure `BACKUP_DAMAGED` for one that is not what was published, `UNREADABLE`
 */
export async function readManifestOf({ layout, point, manifestId }: { layout: ArchiveLayout; point: RecoveryPoint; manifestId: string }): Promise<Manifest> {
  if (manifestId !== OWN) return readManifestAlone(layout, manifestId);
  const own = await ownManifest(layout, point);
  if (!own) throw new RecoveryFailure('BACKUP_DAMAGED', `Backup "${point.id}" was published without a manifest.`, { files: ['manifest.json'] });
  return own;
}

export interface ChooseManifestArgs { layout: ArchiveLayout; point: RecoveryPoint; wal: WalContinuity; until: string | null }

/**
 * The newest manifest of the same cluster and timeline whose positions all lie between the end of the backup and the end
 * of the archive: the later it is, the more WAL a comparison at it proves. The backup's own was published when the archive
 * had passed it: where that WAL is nowhere now, it was lost, and recovery must fail on it rather than do without.
 */
export async function chooseManifest({ layout, point, wal, until }: ChooseManifestArgs): Promise<ChosenManifest> {
  const own = await ownManifest(layout, point);
  const { usable: alone, passedOver } = await readAllAlone(layout);
  const { walSegmentSize: segmentSize } = point;
  const segmentOf = (lsn: string) => segmentNumberOf(parseLsn(lsn), segmentSize);
  const isArchived = (lsn: string) => wal.segments.some(({ segmentNumber }) => segmentNumber === segmentOf(lsn));
  const comesLater = (lsn: string) => wal.late.some((name) => parseSegmentFileName(name, segmentSize)?.segmentNumber === segmentOf(lsn));
  const candidates = [...(own ? [{ id: OWN, manifest: own }] : []), ...alone].filter((entry) => {
    const { manifest } = entry;
    return manifest.systemIdentifier === point.systemIdentifier && manifest.timeline === point.timeline
      && manifest.databases.every(({ lsn, takenAt }) => parseLsn(lsn) >= parseLsn(point.stopLsn)
        && (isArchived(lsn) || (entry.id === OWN && !comesLater(lsn)))
        && (until === null || Date.parse(takenAt) <= Date.parse(until)));
  });
  return { usable: candidates.sort((a, b) => Number(firstLsn(b) - firstLsn(a)))[0], passedOver };
}

function firstLsn({ manifest }: UsableManifest): bigint {
  return parseLsn(manifest.databases[0]?.lsn ?? '0/0');
}

/**
 * The newest manifest that was taken alone before an instant of the source's clock, for copies that are held against their living
 * source; of which cluster it is, that says. An older one, which does not say when that was by the source's clock, counts by its worker's.
 */
export async function chooseManifestBefore(layout: ArchiveLayout, until: string): Promise<ChosenManifest> {
  const { usable, passedOver } = await readAllAlone(layout);
  const takenAt = ({ manifest }: UsableManifest) => Math.max(...manifest.databases.map((database) => Date.parse(database.takenAtBySource ?? database.takenAt)));
  return { usable: usable.filter((one) => takenAt(one) <= Date.parse(until)).sort((a, b) => takenAt(b) - takenAt(a))[0], passedOver };
}

/** One that {@link chooseManifestBefore} chose. @throws RecoveryFailure `BACKUP_DAMAGED` */
export async function readManifestAlone(layout: ArchiveLayout, manifestId: string): Promise<Manifest> {
  const one = (await listAlone(layout)).alone.find(({ id }) => id === manifestId);
  if (!one) throw new RecoveryFailure('BACKUP_DAMAGED', `The manifest ${manifestId} was there when the drill was planned, and is gone from ${manifestsDirectory(layout)}.`, { files: [manifestId] });
  return readAlone(one);
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

/** A manifest that was taken alone. Its id binds a plan to what it holds. */
interface ManifestAlone { id: string; name: string; file: string; sha256: string }

/** Those that were taken alone, and the names of files that should be such and hold no hash. */
async function listAlone(layout: ArchiveLayout): Promise<{ alone: ManifestAlone[]; unproven: string[] }> {
  const directory = manifestsDirectory(layout);
  const files = await readdir(directory).catch((cause: NodeJS.ErrnoException) => {
    if (cause.code === 'ENOENT') return [];
    throw new RecoveryFailure('UNREADABLE', `The manifests in ${directory} cannot be read: ${cause.message}`, { cause });
  });
  const alone = files.flatMap((file) => {
    const [, name, sha256] = ALONE.exec(file) ?? [];
    return name && sha256 ? [{ id: `${name}.${sha256.slice(0, 12)}`, name, file: join(directory, file), sha256 }] : [];
  });
  return { alone, unproven: files.filter((file) => file.endsWith('.json') && !ALONE.test(file)) };
}

/** All that were taken alone and can be read, and what is wrong with the others. */
async function readAllAlone(layout: ArchiveLayout): Promise<{ usable: UsableManifest[]; passedOver: UnusablePoint[] }> {
  const { alone, unproven } = await listAlone(layout);
  const passedOver: UnusablePoint[] = unproven.map((id) => ({ id, failure: new RecoveryFailure('BACKUP_DAMAGED', 'its name holds no hash to prove it by; take a new one.') }));
  const usable: UsableManifest[] = [];
  for (const one of alone) await readAlone(one).then((manifest) => usable.push({ id: one.id, manifest }), (failure: Error) => passedOver.push({ id: one.id, failure }));
  return { usable, passedOver };
}

async function readAlone({ file, sha256 }: ManifestAlone): Promise<Manifest> {
  return manifestSchema.parse(JSON.parse((await readProven(file, sha256)).toString('utf8')));
}
