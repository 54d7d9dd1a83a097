import { mkdtemp, rm, statfs } from 'node:fs/promises';
import { join } from 'node:path';
import { judgeIsolation, nearestExisting } from '../../activities/archive-provider/preflight.ts';
import { drillPaths, DRILL_PORT } from '../../activities/drill/drill.ts';
import { probeIsolation } from '../../activities/drill/isolation.ts';
import { CLOSE_DRILLS, openToOthers } from '../../activities/drill/private-place.ts';
import { findPostgres } from '../../activities/postgres/binaries.ts';
import type { Configuration } from '../../contracts/configuration.ts';
import { formatBytes } from '../../contracts/quantities.ts';
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
  const open = await openToOthers(drills.directory).catch(messageOf);
  if (open !== undefined) findings.problem('drills directory', open, CLOSE_DRILLS);
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
  // As the pre-flight of a drill judges: what it would refuse is a problem here.
  const judged = judgeIsolation(await probeIsolation(runAs ?? null), network);
  const todo = 'allow unprivileged user namespaces (sysctl kernel.unprivileged_userns_clone=1, or kernel.apparmor_restrict_unprivileged_userns=0), or run the worker as root';
  if ('lacking' in judged) findings.problem('isolation', judged.lacking, `${todo}; or set drills.network to bestEffort`);
  else if (judged.outcome === 'passed') findings.ok('isolation', judged.detail);
  else findings.warning('isolation', judged.detail, todo);
}
