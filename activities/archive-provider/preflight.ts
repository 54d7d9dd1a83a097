import { mkdir, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { ApplicationFailure } from '@temporalio/common';
import type { Configuration } from '../../contracts/configuration.ts';
import type { Check } from '../../contracts/evidence.ts';
import type { DrillPlan } from '../../contracts/dr-test.ts';
import type { RecoveryPoint } from '../../contracts/recovery-point.ts';
import type { ArchiveLayout } from '../archive/layout.ts';
import { freeAt } from '../archive/room.ts';
import { inWords, nearestExisting, tryWriting } from '../archive/try-writing.ts';
import { linksWal } from '../drill/configuration.ts';
import { findAbove, type Isolation, productionPathsOf, serverPathsOf } from '../drill/drill.ts';
import { probeIsolation } from '../drill/isolation.ts';
import { CLOSE_DRILLS, openToOthers } from '../drill/private-place.ts';
import { mistakeIn } from '../drill/try-settings.ts';
import { glibcVersion } from '../postgres/glibc.ts';
import { findPostgres, type PostgresBinaries } from '../postgres/binaries.ts';
import { roomForSockets } from './drill-place.ts';
import { missingLibraries } from './missing-libraries.ts';
import { asKnown, asProduction, notAsWhom, type ProductionHere, productionHere } from './production-here.ts';

/**
 * Looks whether this host can carry the drill, before anybody is asked and anything is made. Throws one `PREFLIGHT`
 * failure that names everything that is wrong.
 */
export async function checkHost(plan: DrillPlan, where: Examined): Promise<Check[]> {
  const { checks, problems } = await lookAtHost(plan, where);
  const { directory } = where.configuration.drills;
  // Nothing is made where that could be production's directory, or somebody else's.
  const closed = problems.some(({ name }) => name === 'drills directory') ? undefined : await tryWriting([directory], 'drills.directory');
  if (closed) problems.push({ name: 'drills directory', problem: inWords(closed) });
  if (problems.length > 0) throw ApplicationFailure.nonRetryable(problems.map(({ problem }) => problem).join('; '), 'PREFLIGHT');
  await mkdir(directory, { recursive: true, mode: 0o711 });
  return checks;
}

interface Examined { point: RecoveryPoint; layout: ArchiveLayout; configuration: Configuration; signal: AbortSignal }

/** What speaks against a drill, and after the last semicolon what to do about it. */
interface HostProblem { name: string; problem: string }

/** All that {@link checkHost} looks at. Changes nothing. */
export async function lookAtHost(
  plan: { predicted: Pick<DrillPlan['predicted'], 'bytes'>; archive: Pick<DrillPlan['archive'], 'bytes'> }, { point, layout, configuration, signal }: Examined,
): Promise<{ checks: Check[]; problems: HostProblem[] }> {
  const problems: HostProblem[] = [];
  const checks: Check[] = [];
  const check = (name: string, problem: string | null, detail: string) => {
    if (problem === null) checks.push({ name, outcome: 'passed', detail });
    else problems.push({ name, problem });
  };
  const { directory, reserve, network, priority } = configuration.drills;
  const production = productionPathsOf(layout, point);
  const above = await findAbove(directory, production);
  if (above !== undefined) problems.push({ name: 'drills directory', problem: `${withinProduction(directory, above)}; ${MOVE_DRILLS}` });
  const open = await openToOthers(directory).catch(({ message }: Error) => message);
  if (open !== undefined) problems.push({ name: 'drills directory', problem: `${open}; ${CLOSE_DRILLS}` });
  const { lacking } = roomForSockets(directory);
  if (lacking) problems.push({ name: 'socket path', problem: inWords(lacking) });
  const free = await freeAt(await nearestExisting(directory));
  const copies = linksWal() ? 0 : plan.archive.bytes;
  const needed = plan.predicted.bytes + copies + reserve;
  check('disk space', free >= needed ? null : `${directory} has ${mib(free)} free and the drill needs ${mib(needed)} (backup ${mib(plan.predicted.bytes - plan.archive.bytes)}, WAL ${mib(plan.archive.bytes)}${copies > 0 ? ' twice, since replay copies it once more' : ''}, and a reserve of ${mib(reserve)}); free some or set drills.directory to a larger file system`, `${mib(free)} free, ${mib(needed)} needed${copies > 0 ? ' with WAL counted twice' : ''}`);

  const hostGlibc = glibcVersion();
  const { arch } = process;
  const expected = ({ x64: 'x86_64', arm64: 'aarch64' } as Record<string, string>)[arch] ?? arch;
  const sameArchitecture = [arch, expected].includes(point.architecture);
  check('architecture', sameArchitecture ? null : `the backup is of a ${point.architecture} server and this host is ${expected}; drill on a host of the same architecture`, expected);

  const otherGlibc = point.glibcVersion !== null && hostGlibc !== null && point.glibcVersion !== hostGlibc && point.databases.some((database) => database.localeProvider === 'libc' && database.collationVersion !== null);
  check('collation version', otherGlibc ? `the backup's indexes were sorted by glibc ${point.glibcVersion} and this host has ${hostGlibc}; drill on a host with the same glibc` : null, hostGlibc === null ? 'not known before the server runs' : `glibc ${hostGlibc}`);

  let binaries: PostgresBinaries | undefined;
  const here = await productionHere(configuration);
  const owners = await notAsWhom(production, here);
  try {
    const { binDirectory } = configuration.postgres;
    binaries = await findPostgres({ major: point.serverMajor, binDirectory, notAs: owners });
    check('PostgreSQL binaries', null, `${binaries.version} in ${binaries.binDirectory}`);
  } catch (error) {
    problems.push({ name: 'PostgreSQL binaries', problem: error instanceof Error ? error.message : String(error) });
  }
  signal.throwIfAborted();
  if (binaries) {
    const mistake = await mistakeIn(configuration.drills.settings, binaries);
    if (mistake !== null) problems.push({ name: 'settings', problem: `PostgreSQL ${binaries.version} does not take drills.settings: ${mistake}; correct them` });
    signal.throwIfAborted();
    const extensions = await missingExtensions(point, binaries.shareDirectory);
    const libraries = await missingLibraries(point, binaries, { searchPath: configuration.drills.settings['dynamic_library_path'], without: extensions });
    if (extensions.length + libraries.length === 0) checks.push({ name: 'extensions', outcome: 'passed', detail: 'all that the backup uses are installed' });
    if (extensions.length > 0) problems.push({ name: 'extensions', problem: `this host's PostgreSQL lacks the extensions ${extensions.join(', ')} that the backup uses; install their packages` });
    if (libraries.length > 0) problems.push({ name: 'libraries', problem: `this host's PostgreSQL lacks the libraries ${libraries.join(', ')} that functions of the backup are in; install their packages, in the versions that the source has` });
    signal.throwIfAborted();
    const user = await asProduction(binaries, { owners, ofServer: serverPathsOf(point) }, here);
    const isolation = judgeIsolation(asKnown(await probeIsolation(binaries.runAs ?? null), here), user, network);
    if ('lacking' in isolation) problems.push({ name: 'isolation', problem: isolationRefusal(isolation) });
    else checks.push(isolation);
  }
  if (priority === 'low') checks.push({ name: 'priority', outcome: 'passed', detail: 'as configured, the restored server gives way to all else on this host: a recovery in earnest may be faster than what is measured' });
  return { checks, problems };
}

/** What is wrong with a directory for drills in which nothing may be made, and so nothing be removed. */
export function withinProduction(directory: string, above: string): string {
  return `${directory} is or lies within ${above}, which belongs to the source`;
}
/** What to do where drills lie within production's directories; the doctor says the same. */
export const MOVE_DRILLS = 'set drills.directory to a directory elsewhere';

/**
 * The check that says how far the copy is cut off, or what is lacking where that is less than what is required. `user`, from
 * {@link asProduction}: to whom belongs what is not hidden can be reached from any namespace.
 */
export function judgeIsolation({ network, mounts, reason }: Isolation, user: string | null, wanted: Configuration['drills']['network']): Check | { lacking: string } {
  const name = 'isolation';
  // A socket of production on this host is as good as a network to it.
  const open: [string, string | null][] = network !== 'isolated' ? [['the drill cannot be cut off from the network', reason]]
    : mounts !== 'isolated' ? [["production's files and sockets on this host cannot be hidden from the drill", reason]] : [];
  if (user !== null) open.push(["the drill cannot be kept from production's processes and all of its files", user]);
  if (open.length === 0) return { name, outcome: 'passed', detail: "a network namespace of its own; production's files and sockets hidden" };
  if (wanted === 'required') return { lacking: open.map(([what, why]) => `${what} (${why})`).join('; ') };
  return { name, outcome: 'skipped', detail: open.map(([what, why]) => `${what}: ${why}`).join('; ') };
}

function isolationRefusal({ lacking }: { lacking: string }): string {
  return `${lacking}; run the worker as root, or as a user to whom nothing of production belongs, where unshare works and every database's repository answers, or set drills.network to bestEffort`;
}

/**
 * How far this host cuts the copy off now. Between the pre-flight and the copy people think, for hours, and the worker may
 * have been started anew with fewer rights: what was required then must hold for the server that will run.
 * @throws ApplicationFailure `PREFLIGHT` where it is less than what is required
 */
export async function requireIsolation(owner: Parameters<typeof probeIsolation>[0], user: string | null, here: ProductionHere, wanted: Configuration['drills']['network']): Promise<Isolation> {
  const isolation = await probeIsolation(owner);
  const judged = judgeIsolation(asKnown(isolation, here), user, wanted);
  if ('lacking' in judged) throw ApplicationFailure.nonRetryable(isolationRefusal(judged), 'PREFLIGHT');
  return isolation;
}

async function missingExtensions(point: RecoveryPoint, shareDirectory: string): Promise<string[]> {
  const installed = new Set((await readdir(join(shareDirectory, 'extension'))).filter((name) => name.endsWith('.control')).map((name) => name.slice(0, -'.control'.length)));
  const used = new Set(point.databases.flatMap((database) => database.extensions ?? []).map((extension) => extension.name));
  return [...used].filter((name) => !installed.has(name)).sort();
}

function mib(bytes: number): string {
  return `${Math.ceil(bytes / 2 ** 20)} MiB`;
}
