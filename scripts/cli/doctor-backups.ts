import { access, constants, stat } from 'node:fs/promises';
import { archiveProvider } from '../../activities/archive-provider/archive-provider.ts';
import { layoutOf } from '../../activities/archive-provider/kept-in.ts';
import { manifestsDirectory } from '../../activities/archive-provider/manifests.ts';
import { lookAtHost, MOVE_DRILLS, withinProduction } from '../../activities/archive-provider/preflight.ts';
import { CORRECT_ARCHIVE, lookAtArchive } from '../../activities/archive/archive-lag.ts';
import { type ArchiveLayout, listRecoveryPoints, noBackupIn } from '../../activities/archive/layout.ts';
import { lackOfRoom } from '../../activities/archive/room.ts';
import { tryWriting } from '../../activities/archive/try-writing.ts';
import { Unreadable } from '../../activities/archive/unreadable.ts';
import { findAbove, productionPathsOf } from '../../activities/drill/drill.ts';
import { OTHER_CLUSTER_REMEDY, otherCluster } from '../../activities/dr-test/other-cluster.ts';
import type { Supply } from '../../activities/dr-test/provider.ts';
import { findPostgres } from '../../activities/postgres/binaries.ts';
import type { Configuration, DatabaseSettings } from '../../contracts/configuration.ts';
import { formatBytes, formatSeconds } from '../../contracts/quantities.ts';
import type { RecoveryPoint } from '../../contracts/recovery-point.ts';
import { messageOf, type Findings } from './doctor-finding.ts';
import type { SourceFacts } from './doctor-source.ts';

/** Archive, recovery points and binaries of one database. `facts` is what the source said; unknown when it did not answer. */
export async function examineBackups(settings: DatabaseSettings, configuration: Configuration, facts: SourceFacts | undefined, findings: Findings): Promise<void> {
  if (settings.provider.kind !== 'archive') return;
  const { walDirectory } = settings.provider;
  const layout = layoutOf(settings.provider);
  await checkRepository(findings, settings, layout);
  await checkArchive(findings, walDirectory, facts);
  let needed = facts?.major;
  let newest: RecoveryPoint | undefined;
  try {
    const { points, unusable, isThere } = await listRecoveryPoints(layout);
    for (const { id, failure } of unusable) {
      const [problem, remedy] = withRemedy(failure, 'move it out of the repository');
      findings.warning('recovery point', `${id} cannot be used: ${problem}`, remedy);
    }
    newest = points.at(-1);
    const above = await findAbove(configuration.drills.directory, productionPathsOf(layout, newest));
    if (above !== undefined) findings.problem('drills directory', withinProduction(configuration.drills.directory, above), MOVE_DRILLS);
    if (newest) {
      const age = (Date.now() - Date.parse(newest.stoppedAt)) / 1_000;
      needed = newest.serverMajor;
      if (age > OLD_BACKUP_S) findings.warning('recovery point', `the newest, ${newest.id}, is ${formatSeconds(age)} old`, 'take one with `runbook start backup`, or see why backups stopped');
      else findings.ok('recovery point', `the newest, ${newest.id}, is ${formatSeconds(age)} old (${formatBytes(newest.sizeBytes)})`);
      const other = facts ? otherCluster(newest, facts.systemIdentifier) : null;
      if (other !== null) findings.problem('recovery point', `${other}: a drill of it says nothing of the source, and is not proven`, OTHER_CLUSTER_REMEDY);
      await examinePreflight(newest, { settings, layout, configuration }, findings);
    } else if (unusable.length > 0) findings.problem('recovery point', `there is none in ${layout.backups} that can be used`, 'take one with `runbook start backup`');
    else {
      const { problem, remedy } = noBackupIn(layout, isThere);
      findings.problem('recovery point', problem, remedy);
    }
  } catch (error) {
    findings.problem('recovery point', ...withRemedy(error, 'give this user permission to read it'));
  }
  await checkRoom(findings, settings, { layout, reserve: configuration.drills.reserve, next: nextBackup(facts, newest) });
  try {
    const { binDirectory, version } = await findPostgres({ major: needed, binDirectory: configuration.postgres.binDirectory });
    findings.ok('PostgreSQL binaries', `version ${version} in ${binDirectory}`);
  } catch (error) {
    findings.problem('PostgreSQL binaries', messageOf(error), `install PostgreSQL${needed === undefined ? '' : ` ${needed}`} on this host, or set postgres.binDirectory`);
  }
}

/** What was thrown, and what to do about it: what it says itself where something cannot be read, as which it is not damaged. */
function withRemedy(error: unknown, otherwise: string): [problem: string, remedy: string] {
  return error instanceof Unreadable ? [error.problem, error.remedy] : [messageOf(error), otherwise];
}

/** What is said already, of the host and beside this. */
const SAID_ELSEWHERE = new Set(['PostgreSQL binaries', 'drills directory', 'socket path', 'isolation', 'priority']);

/** Looks as the pre-flight of a drill of this backup would, with the WAL that there is now: what it would refuse is a problem here. */
async function examinePreflight(point: RecoveryPoint, { settings, layout, configuration }: { settings: DatabaseSettings; layout: ArchiveLayout; configuration: Configuration }, findings: Findings): Promise<void> {
  let supply: Supply;
  try {
    supply = await archiveProvider({ settings, configuration }).supply(point.id, new Date().toISOString());
  } catch (error) {
    // An archive that is not one has been told already.
    if (findings.all.some(({ name, outcome }) => name === 'WAL archive' && outcome === 'problem')) return;
    return findings.problem('recovery point', ...withRemedy(error, 'bring back what is missing or damaged, or take a new backup with `runbook start backup`'));
  }
  const { bytes } = supply;
  const needs = { predicted: { bytes: point.sizeBytes + bytes }, archive: { bytes } };
  const { checks, problems } = await lookAtHost(needs, { point, layout, configuration, signal: new AbortController().signal });
  for (const { name, detail } of checks) if (!SAID_ELSEWHERE.has(name)) findings.ok(name, detail);
  for (const { name, problem } of problems) {
    if (SAID_ELSEWHERE.has(name)) continue;
    const at = problem.lastIndexOf('; ');
    findings.problem(name, problem.slice(0, at), problem.slice(at + 2));
  }
}

/** A base backup older than a week makes for a long replay, and often means that something stopped. */
const OLD_BACKUP_S = 7 * 86_400;

/** Where this host's worker writes backups, publishes them, and manifests. */
async function checkRepository(findings: Findings, { host }: Pick<DatabaseSettings, 'host'>, layout: ArchiveLayout): Promise<void> {
  const repository = layout.root;
  if (!(await isReadable(findings, 'repository', repository, 'provider.repository'))) return;
  try {
    const closed = await tryWriting([layout.incoming, layout.backups, manifestsDirectory(layout)], 'provider.repository');
    // A host that only drills writes nothing there; one that is named takes the backups.
    if (closed && host === undefined) findings.warning('repository', `${closed.problem}: no backup or manifest can be taken here`, closed.remedy);
    else if (closed) findings.problem('repository', closed.problem, closed.remedy);
    else findings.ok('repository', `${repository} can be read and written`);
  } catch (error) {
    findings.problem('repository', messageOf(error), 'look at its file system, or change provider.repository');
  }
}

interface NextBackup { bytes: number; howKnown: string }

/** How large the next backup is expected to be; undefined where neither the source nor a backup of it says anything. */
function nextBackup(facts: SourceFacts | undefined, newest: RecoveryPoint | undefined): NextBackup | undefined {
  if (facts?.toCopy.of === 'files') return { bytes: facts.toCopy.bytes, howKnown: '' };
  // A role may not know the size of every database: then the newest may have been larger.
  const ofNewest = newest && (!facts || otherCluster(newest, facts.systemIdentifier) === null) ? newest.sizeBytes : 0;
  if (facts && facts.toCopy.bytes > ofNewest) return { bytes: facts.toCopy.bytes, howKnown: ', by the sizes of the databases: less where tables are unlogged' };
  return ofNewest > 0 ? { bytes: ofNewest, howKnown: ', if it is as large as the newest' } : undefined;
}

/** Whether the repository has room for the next backup, as its pre-flight would look. */
async function checkRoom(findings: Findings, { host }: Pick<DatabaseSettings, 'host'>, { layout, reserve, next }: { layout: ArchiveLayout; reserve: number; next: NextBackup | undefined }): Promise<void> {
  if (!next) return;
  try {
    const full = await lackOfRoom(layout.incoming, { bytes: next.bytes, reserve });
    if (!full) return;
    // As with the repository itself: a host that only drills takes none.
    const say = host === undefined ? 'warning' : 'problem';
    findings[say]('room for a backup', `${full.problem}${next.howKnown}`, full.remedy);
  } catch (error) {
    findings.problem('room for a backup', messageOf(error), 'look at the file system of provider.repository');
  }
}

async function checkArchive(findings: Findings, directory: string, facts: SourceFacts | undefined): Promise<void> {
  if (!(await isReadable(findings, 'WAL archive', directory, 'provider.walDirectory'))) return;
  const found = await lookAtArchive(directory, facts);
  const lastArchived = facts?.lastArchived ?? null;
  if (found.problem !== null) findings.problem('WAL archive', found.problem, CORRECT_ARCHIVE);
  else if (found.behind > 0n) findings.warning('WAL archive', `${directory} is ${found.behind} segment(s) behind ${lastArchived}, which the source archived last; a drill loses what they hold`, 'look whether what ships WAL there after archive_command keeps up');
  else findings.ok('WAL archive', lastArchived === null ? `${directory} can be read` : `${directory} holds what the source archived last`);
}

async function isReadable(findings: Findings, name: string, directory: string, setting: string): Promise<boolean> {
  try {
    if (!(await stat(directory)).isDirectory()) throw new Error(`${directory} is not a directory`);
    await access(directory, constants.R_OK | constants.X_OK);
    return true;
  } catch (error) {
    findings.problem(name, messageOf(error), `mount its file system or create it, give this user permission to read it, or correct ${setting}`);
    return false;
  }
}
