import { access, constants, mkdtemp, realpath, rm, stat, statfs } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { archiveLayout, listRecoveryPoints } from '../../activities/archive/layout.ts';
import { drillPaths, DRILL_PORT } from '../../activities/drill/drill.ts';
import { probeIsolation } from '../../activities/drill/isolation.ts';
import { formatBytes, formatSeconds } from '../../activities/evidence/report-format.ts';
import { findPostgres } from '../../activities/postgres/binaries.ts';
import type { Configuration, DatabaseSettings } from '../../contracts/configuration.ts';
import { Findings, messageOf, type Finding } from './doctor-finding.ts';

/** `sun_path` of a Unix socket: 108 bytes with its end on Linux, 104 elsewhere. */
const SOCKET_PATH_BYTES = process.platform === 'linux' ? 107 : 103;
/** As long as the names of drills get: prefix, tag of the run, fence. */
const LONGEST_DRILL_NAME = 'dr-test-0123abcd-99999999';

/** What this host needs to hold a drill: evidence directory, space, socket path, isolation. */
export async function examineHost({ drills, evidence }: Configuration): Promise<Finding[]> {
  const findings = new Findings('host');
  const existing = await nearestExisting(drills.directory);
  await checkWritable(findings, 'drills directory', drills.directory, 'drills.directory');
  await checkWritable(findings, 'evidence directory', evidence.directory, 'evidence.directory');
  const { bavail, bsize } = await statfs(existing);
  const free = bavail * bsize;
  if (free > drills.reserve) findings.ok('disk space', `${formatBytes(free)} free at ${existing}, of which a drill may use ${formatBytes(free - drills.reserve)}`);
  else findings.problem('disk space', `${formatBytes(free)} free at ${existing}, and drills.reserve keeps ${formatBytes(drills.reserve)}`, 'free space, or set drills.directory to a larger file system');
  const socket = join(drillPaths(join(drills.directory, LONGEST_DRILL_NAME)).socket, `.s.PGSQL.${DRILL_PORT}`);
  const bytes = Buffer.byteLength(socket);
  if (bytes <= SOCKET_PATH_BYTES) findings.ok('socket path', `${bytes} of ${SOCKET_PATH_BYTES} bytes`);
  else findings.problem('socket path', `sockets of drills would have paths of ${bytes} bytes, and ${SOCKET_PATH_BYTES} are possible`, `shorten drills.directory by ${bytes - SOCKET_PATH_BYTES} characters`);
  await checkIsolation(findings, drills.network);
  return findings.all;
}

async function checkWritable(findings: Findings, name: string, directory: string, setting: string): Promise<void> {
  const existing = await nearestExisting(directory);
  try {
    // access() says yes to root on a read-only file system: only trying tells.
    const probe = await mkdtemp(join(existing, '.runbook-doctor-'));
    await rm(probe, { recursive: true });
    findings.ok(name, `${directory} ${existing === directory ? 'can be written' : 'can be created'}`);
  } catch (error) {
    findings.problem(name, `${directory} cannot be written: ${messageOf(error)}`, `give this user write permission on ${existing}, or change ${setting}`);
  }
}

async function checkIsolation(findings: Findings, network: Configuration['drills']['network']): Promise<void> {
  const { runAs } = await findPostgres().catch(() => ({ runAs: undefined }));
  const isolation = await probeIsolation(runAs ?? null);
  if (isolation.network === 'isolated' && isolation.mounts === 'isolated') return findings.ok('isolation', 'drills run without network and without sight of production files');
  const todo = 'allow unprivileged user namespaces (sysctl kernel.unprivileged_userns_clone=1, or kernel.apparmor_restrict_unprivileged_userns=0), or run the worker as root';
  const detail = `drills would be cut off by settings alone: ${isolation.reason ?? 'this host forbids namespaces'}`;
  if (isolation.network === 'notIsolated' && network === 'required') findings.problem('isolation', `${detail}; drills.network is "required"`, todo);
  else findings.warning('isolation', detail, todo);
}

/** Archive, recovery points and binaries of one database. `major` is what the source said; unknown when it did not answer. */
export async function examineBackups(settings: DatabaseSettings, { postgres }: Configuration, major: number | undefined, findings: Findings): Promise<void> {
  const { repository, walDirectory } = settings.provider;
  await checkReadable(findings, 'repository', repository, 'provider.repository');
  await checkReadable(findings, 'WAL archive', walDirectory, 'provider.walDirectory');
  let needed = major;
  try {
    const { points, unusable } = await listRecoveryPoints(archiveLayout({ root: repository, walDirectory }));
    for (const { id, failure } of unusable) findings.warning('recovery point', `${id} cannot be used: ${messageOf(failure)}`, 'move it out of the repository');
    const newest = points.at(-1);
    if (newest) {
      const age = (Date.now() - Date.parse(newest.stoppedAt)) / 1_000;
      needed = newest.serverMajor;
      if (age > OLD_BACKUP_S) findings.warning('recovery point', `the newest, ${newest.id}, is ${formatSeconds(age)} old`, 'take one with `runbook start backup`, or see why backups stopped');
      else findings.ok('recovery point', `the newest, ${newest.id}, is ${formatSeconds(age)} old (${formatBytes(newest.sizeBytes)})`);
    } else findings.problem('recovery point', `there is none in ${repository}`, 'take one with `runbook start backup`');
  } catch (error) {
    findings.problem('recovery point', messageOf(error), 'give this user permission to read it');
  }
  try {
    const { binDirectory, version } = await findPostgres({ major: needed, binDirectory: postgres.binDirectory });
    findings.ok('PostgreSQL binaries', `version ${version} in ${binDirectory}`);
  } catch (error) {
    findings.problem('PostgreSQL binaries', messageOf(error), `install PostgreSQL${needed === undefined ? '' : ` ${needed}`} on this host, or set postgres.binDirectory`);
  }
}

/** A base backup older than a week makes for a long replay, and often means that something stopped. */
const OLD_BACKUP_S = 7 * 86_400;

async function checkReadable(findings: Findings, name: string, directory: string, setting: string): Promise<void> {
  try {
    if (!(await stat(directory)).isDirectory()) throw new Error(`${directory} is not a directory`);
    await access(directory, constants.R_OK | constants.X_OK);
    findings.ok(name, `${directory} can be read`);
  } catch (error) {
    findings.problem(name, messageOf(error), `create it, give this user permission to read it, or correct ${setting}`);
  }
}

async function nearestExisting(path: string): Promise<string> {
  for (let candidate = path; candidate !== dirname(candidate); candidate = dirname(candidate)) {
    const found = await realpath(candidate).catch(() => undefined);
    if (found !== undefined) return candidate;
  }
  return tmpdir();
}
