import { roomForSockets } from '../../activities/archive-provider/drill-place.ts';
import { judgeIsolation } from '../../activities/archive-provider/preflight.ts';
import { asProduction, notAsWhom, productionHere } from '../../activities/archive-provider/production-here.ts';
import { freeAt } from '../../activities/archive/room.ts';
import { nearestExisting, tryWriting } from '../../activities/archive/try-writing.ts';
import { probeIsolation } from '../../activities/drill/isolation.ts';
import { CLOSE_DRILLS, openToOthers } from '../../activities/drill/private-place.ts';
import { SOCKET_PATH_BYTES } from '../../activities/drill/socket-path.ts';
import { findPostgres } from '../../activities/postgres/binaries.ts';
import type { Configuration } from '../../contracts/configuration.ts';
import { formatBytes } from '../../contracts/quantities.ts';
import { Findings, messageOf, type Finding } from './doctor-finding.ts';

/** What this host needs to hold a drill: evidence directory, space, socket path, isolation. */
export async function examineHost({ databases, drills, evidence, postgres }: Configuration): Promise<Finding[]> {
  const findings = new Findings('host');
  const existing = await nearestExisting(drills.directory);
  await checkWritable(findings, 'drills directory', drills.directory, 'drills.directory');
  const open = await openToOthers(drills.directory).catch(messageOf);
  if (open !== undefined) findings.problem('drills directory', open, CLOSE_DRILLS);
  await checkWritable(findings, 'evidence directory', evidence.directory, 'evidence.directory');
  const free = await freeAt(existing);
  if (free > drills.reserve) findings.ok('disk space', `${formatBytes(free)} free at ${existing}, of which a drill may use ${formatBytes(free - drills.reserve)}`);
  else findings.problem('disk space', `${formatBytes(free)} free at ${existing}, and drills.reserve keeps ${formatBytes(drills.reserve)}`, 'free space, or set drills.directory to a larger file system');
  const { bytes, lacking } = roomForSockets(drills.directory);
  if (lacking) findings.problem('socket path', lacking.problem, lacking.remedy);
  else findings.ok('socket path', `${bytes} of ${SOCKET_PATH_BYTES} bytes`);
  await checkIsolation(findings, { databases, drills, postgres });
  return findings.all;
}

async function checkWritable(findings: Findings, name: string, directory: string, setting: string): Promise<void> {
  try {
    const closed = await tryWriting([directory], setting);
    if (closed) findings.problem(name, closed.problem, closed.remedy);
    else findings.ok(name, `${directory} ${await nearestExisting(directory) === directory ? 'can be written' : 'can be created'}`);
  } catch (error) {
    findings.problem(name, `${directory} cannot be written: ${messageOf(error)}`, `look at its file system, or change ${setting}`);
  }
}

async function checkIsolation(findings: Findings, { databases, drills: { network }, postgres: { binDirectory } }: Pick<Configuration, 'databases' | 'drills' | 'postgres'>): Promise<void> {
  const here = await productionHere({ databases });
  const owners = await notAsWhom([], here);
  const binaries = await findPostgres({ binDirectory, notAs: owners }).catch(() => ({ binDirectory: '' }));
  const user = await asProduction(binaries, { owners, ofServer: [] }, here);
  // As the pre-flight of a drill judges: what it would refuse is a problem here.
  const isolation = await probeIsolation('runAs' in binaries ? binaries.runAs : null);
  const judged = judgeIsolation(isolation, user, network);
  const todo = [
    ...(isolation.mounts === 'isolated' ? [] : ['allow unprivileged user namespaces (sysctl kernel.unprivileged_userns_clone=1, or kernel.apparmor_restrict_unprivileged_userns=0), or run the worker as root']),
    ...(user === null ? [] : ['run the worker as root, or as a user to whom nothing of production belongs']),
  ].join('; ');
  if ('lacking' in judged) findings.problem('isolation', judged.lacking, `${todo}; or set drills.network to bestEffort`);
  else if (judged.outcome === 'passed') findings.ok('isolation', judged.detail);
  else findings.warning('isolation', judged.detail, todo);
}
