import { mkdir, readdir, readFile, rename, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { manifestSchema, type Manifest } from '../../contracts/manifest.ts';
import type { RecoveryPoint } from '../../contracts/recovery-point.ts';
import { backupPaths, readProven, sha256Of, type ArchiveLayout } from '../archive/layout.ts';
import { RecoveryFailure } from '../archive/recovery-failure.ts';
import { isHostUnableToRead, unreadable } from '../archive/unreadable.ts';
import { parseSegmentFileName, segmentNumberOf, type WalContinuity } from '../archive/wal.ts';
import type { ChosenManifest, UnusablePoint, UsableManifest } from '../dr-test/provider.ts';
import { backupBeganMs } from '../kernel/names.ts';
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
 * @throws RecoveryFailure `BACKUP_DAMAGED` for the backup's own that is not what was published, `ARCHIVE_CHANGED` as {@link readManifestAlone}, `UNREADABLE`
 */
export async function readManifestOf({ layout, point, manifestId }: { layout: ArchiveLayout; point: RecoveryPoint; manifestId: string }): Promise<Manifest> {
  if (manifestId !== OWN) return readManifestAlone(layout, manifestId);
  const own = await ownManifest(layout, point);
  if (!own) throw new RecoveryFailure('BACKUP_DAMAGED', `Backup "${point.id}" was published without a manifest.`, { files: ['manifest.json'] });
  return own;
}

/** `wal`: what recovery may read from the backup's start on; `until`: RFC 3339, manifests of a later instant do not count; null for all. */
export interface ChooseManifestArgs { layout: ArchiveLayout; point: RecoveryPoint; wal: WalContinuity; until: string | null }

/**
 * The newest manifest of the same cluster and timeline whose positions all lie between the end of the backup and the end
 * of the archive: the later it is, the more WAL a comparison at it proves. The backup's own was published when the archive
 * had passed it: where that WAL is nowhere now, it was lost, and recovery must fail on it rather than do without.
 */
export async function chooseManifest({ layout, point, wal, until }: ChooseManifestArgs): Promise<ChosenManifest> {
  const own = await ownManifest(layout, point);
  const { walSegmentSize: segmentSize } = point;
  const segmentOf = (lsn: string) => segmentNumberOf(parseLsn(lsn), segmentSize);
  const isArchived = (lsn: string) => wal.segments.some(({ segmentNumber }) => segmentNumber === segmentOf(lsn));
  const comesLater = (lsn: string) => wal.late.some((name) => parseSegmentFileName(name, segmentSize)?.segmentNumber === segmentOf(lsn));
  const isPassed = ({ id, manifest }: UsableManifest) => manifest.systemIdentifier === point.systemIdentifier && manifest.timeline === point.timeline
    && manifest.databases.every(({ lsn, takenAt }) => parseLsn(lsn) >= parseLsn(point.stopLsn)
      && (isArchived(lsn) || (id === OWN && !comesLater(lsn)))
      && (until === null || Date.parse(takenAt) <= Date.parse(until)));
  // Nobody took one alone while the backup was under way.
  const fromMs = Date.parse(point.publishedAt ?? point.stoppedAt);
  const { usable: alone, passedOver } = await newestAlone(layout, { fromMs, untilMs: until === null ? Infinity : Date.parse(until) }, isPassed);
  const candidates = [...(own ? [{ id: OWN, manifest: own }] : []), ...(alone ? [alone] : [])].filter(isPassed);
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
  const takenAt = ({ manifest }: UsableManifest) => Math.max(...manifest.databases.map((database) => Date.parse(database.takenAtBySource ?? database.takenAt)));
  return newestAlone(layout, { fromMs: -Infinity, untilMs: Date.parse(until) }, (one) => takenAt(one) <= Date.parse(until));
}

/**
 * One taken alone that was chosen for a plan. What became of it since says nothing of a backup.
 * @throws RecoveryFailure `ARCHIVE_CHANGED` for one that is gone, or is not what was published; `UNREADABLE`
 */
export async function readManifestAlone(layout: ArchiveLayout, manifestId: string): Promise<Manifest> {
  const directory = manifestsDirectory(layout);
  const changed = (what: string, cause?: unknown) => new RecoveryFailure('ARCHIVE_CHANGED', `The manifest ${manifestId} was there when the drill was planned, and ${what}. Look at what removes or changes files in ${directory}, and start the drill again.`, { files: [manifestId], cause });
  const one = (await listAlone(layout)).alone.find(({ id }) => id === manifestId);
  if (!one) throw changed(`is gone from ${directory}`);
  return readAlone(one).catch((failure: unknown) => {
    if (failure instanceof RecoveryFailure && failure.type === 'BACKUP_DAMAGED') throw changed(`cannot be used now: ${failure.message.replace(/\.$/, '')}`, failure);
    throw failure;
  });
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
    throw unreadable(`The manifests in ${directory}`, cause);
  });
  const alone = files.flatMap((file) => {
    const [, name, sha256] = ALONE.exec(file) ?? [];
    return name && sha256 ? [{ id: `${name}.${sha256.slice(0, 12)}`, name, file: join(directory, file), sha256 }] : [];
  });
  return { alone, unproven: files.filter((file) => file.endsWith('.json') && !ALONE.test(file)) };
}

/** Clocks by which runs begin, files are written, manifests are taken and people ask are no farther apart. */
const CLOCKS_APART_MS = 3_600_000;

/**
 * The newest that was taken alone and fits, by when the runs began that took them, which their names say; and what is wrong
 * with those of the newer ones that cannot be read. There may be thousands, of megabytes each: one is held at a time, none
 * is read after the one that fits, and none that was surely taken before `fromMs` or after `untilMs`.
 */
async function newestAlone(layout: ArchiveLayout, { fromMs, untilMs }: { fromMs: number; untilMs: number }, fits: (one: UsableManifest) => boolean): Promise<ChosenManifest> {
  const { alone, unproven } = await listAlone(layout);
  const passedOver: UnusablePoint[] = unproven.map((id) => ({ id, failure: new RecoveryFailure('BACKUP_DAMAGED', 'its name holds no hash to prove it by; take a new one.') }));
  // One whose name tells no time comes last.
  const beganMs = ({ name }: ManifestAlone) => backupBeganMs(name) || 0;
  for (const one of alone.toSorted((a, b) => beganMs(b) - beganMs(a))) {
    if (beganMs(one) - CLOCKS_APART_MS > untilMs || await writtenUntilMs(one) + CLOCKS_APART_MS < fromMs) continue;
    const { id } = one;
    const read = await readAlone(one).then((manifest) => ({ id, manifest }), (failure: Error) => {
      if (isHostUnableToRead(failure)) throw failure;
      passedOver.push({ id, failure });
    });
    if (read && fits(read)) return { usable: read, passedOver };
  }
  return { usable: undefined, passedOver };
}

/** When it had been written; infinite where its file does not say, as one that is older than the run that took it. */
async function writtenUntilMs({ name, file }: ManifestAlone): Promise<number> {
  const writtenMs = await stat(file).then(({ mtimeMs }) => mtimeMs, () => Infinity);
  return writtenMs + CLOCKS_APART_MS < backupBeganMs(name) ? Infinity : writtenMs;
}

async function readAlone({ file, sha256 }: ManifestAlone): Promise<Manifest> {
  return manifestSchema.parse(JSON.parse((await readProven(file, sha256)).toString('utf8')));
}
