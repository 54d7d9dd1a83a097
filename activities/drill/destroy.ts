import { execFile } from 'node:child_process';
import { readdir, readFile, rm, rmdir } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { lookAt } from '../archive/look-at.ts';
import { RecoveryFailure } from '../archive/recovery-failure.ts';
import { type DrillOwnership, drillMarker, drillPaths, refuseForeignDrill, refuseProductionPath } from './drill.ts';
import { readSmallFile } from './hostile-files.ts';
import { refuseOpenToOthers } from './private-place.ts';
import { findProcesses, sendSignal, untilGone } from './processes.ts';
import { removeTrees } from './remove-trees.ts';
import { stopDrill } from './server.ts';

/** Which drill, and what must not be destroyed with it. */
export interface DestroyDrillArgs extends DrillOwnership {
  drillsDirectory: string;
  /** The source's data directory, tablespaces, archive and backups: never touched, whatever the drill's directory is. */
  productionPaths: readonly string[];
  /** The drill's shared memory is in a namespace of its own, and goes with it: what it names by its number out here is another's. */
  hasOwnIpc?: boolean;
  /** Asked before each removal: throws where this is not to be destroyed any more. */
  refuse?: (() => Promise<void>) | undefined;
}

/** What this call found and ended; what an earlier one did is not told again. */
export interface DestroyedDrill {
  /** False when there was nothing left to destroy. */
  existed: boolean;
  processesEnded: number;
  /** System V segments that were the drill's; for `proveAbsent`. */
  sharedMemoryIds: number[];
}

/**
 * Ends a drill's processes and removes its directory. Safe to repeat, and safe to resume: the marker goes last.
 * @throws RecoveryFailure `NOT_OUR_DRILL`, `UNSAFE_PATH`; what `refuse` throws
 */
export async function destroyDrill(args: DestroyDrillArgs): Promise<DestroyedDrill> {
  const directory = drillDirectory(args);
  const marker = drillMarker(args.name);
  const info = await lookAt(directory);
  if (info) {
    await refuseOpenToOthers(args.drillsDirectory);
    if (info.isSymbolicLink()) throw new RecoveryFailure('NOT_OUR_DRILL', `${directory} is a symbolic link; a drill's directory never is.`);
    await refuseProductionPath(directory, args.productionPaths);
    await refuseForeignDrill(directory, args);
  }
  const sharedMemoryIds = args.hasOwnIpc ? [] : await readSharedMemoryIds(directory);
  if (info) await stopDrill({ drill: { directory }, mode: 'immediate' });
  const processesEnded = await endAll(directory, marker);
  for (const id of sharedMemoryIds) await removeSharedMemory(id);
  // To end processes takes time in which much can happen.
  const now = info && await lookAt(directory);
  if (now && (now.dev !== info.dev || now.ino !== info.ino)) throw new RecoveryFailure('NOT_OUR_DRILL', `${directory} was exchanged for something else while its processes were ended; nothing was removed.`);
  if (now) {
    await removeTrees((await readdir(directory)).filter((name) => name !== 'drill.json').map((name) => join(directory, name)), { marker, refuse: args.refuse });
    await args.refuse?.();
    await rm(drillPaths(directory).marker, { force: true });
    await rmdir(directory);
  }
  return { existed: info !== undefined, processesEnded, sharedMemoryIds };
}

/**
 * Looks for anything that is left of a drill. An empty list is the proof of its absence, as far as this platform shows
 * such things: `looked` names what it shows.
 * @throws what keeps it from looking at the directory
 */
export async function proveAbsent(args: { name: string; drillsDirectory: string; sharedMemoryIds?: readonly number[] }): Promise<{ absent: boolean; looked: string[]; findings: string[] }> {
  const directory = drillDirectory(args);
  const findings: string[] = [];
  for (const { pid } of await findProcesses({ marker: drillMarker(args.name), directory })) findings.push(`process ${pid} runs`);
  if (await lookAt(directory)) findings.push(`directory ${directory} exists`);
  const memory = await readFile('/proc/sysvipc/shm', 'utf8').catch(() => '');
  const present = new Set(memory.split('\n').slice(1).map((line) => Number(line.trim().split(/\s+/)[1])));
  for (const id of args.sharedMemoryIds ?? []) if (present.has(id)) findings.push(`shared memory segment ${id} exists`);
  const looked = [...(process.platform === 'linux' ? ['processes'] : []), `directory ${directory}`];
  return { absent: findings.length === 0, looked, findings };
}

/** The name comes from a ledger: it must not lead elsewhere. */
function drillDirectory(args: { name: string; drillsDirectory: string }): string {
  if (!/^[A-Za-z0-9][A-Za-z0-9._-]*$/.test(args.name)) throw new RecoveryFailure('UNSAFE_PATH', `"${args.name}" is not the name of a drill.`);
  return join(args.drillsDirectory, args.name);
}

/** Ends a drill's processes and removes nothing: for where its place may lead elsewhere. Returns how many there were. */
export function endDrill(args: Pick<DestroyDrillArgs, 'name' | 'drillsDirectory'>): Promise<number> {
  return endAll(drillDirectory(args), drillMarker(args.name));
}

async function endAll(directory: string, marker: { name: string; value: string }): Promise<number> {
  let ended = 0;
  // Twice and more: a process may start another one while we look.
  for (let round = 0; round < 5; round += 1) {
    const found = await findProcesses({ marker, directory });
    if (found.length === 0) return ended;
    for (const { pid } of found) sendSignal(pid, 'SIGKILL');
    ended += found.length - (await untilGone(found, 10_000)).length;
  }
  return ended;
}

/** Columns of /proc/sysvipc/shm: whose a segment is, and who made it. */
const [SHM_UID, SHM_CUID] = [7, 9];

/** Line 7 of postmaster.pid: key and id of the segment that guards the data directory. */
async function readSharedMemoryIds(directory: string): Promise<number[]> {
  const text = await readSmallFile(join(drillPaths(directory).data, 'postmaster.pid')).catch(() => '');
  const [key, id] = (text.split('\n')[6] ?? '').trim().split(/\s+/);
  if (!isWhole(key) || !isWhole(id) || keyOf(key) === 0n) return [];
  // The copy writes that file. It must be there with the same key, and the copy's user's, who made it too: of no other may root remove anything.
  const owner = (await lookAt(drillPaths(directory).data))?.uid;
  const memory = await readFile('/proc/sysvipc/shm', 'utf8').catch(() => '');
  const here = memory.split('\n').slice(1).map((line) => line.trim().split(/\s+/)).filter(([itsKey]) => isWhole(itsKey));
  const isThere = here.some((fields) => keyOf(fields[0] ?? '') === keyOf(key) && fields[1] === id && Number(fields[SHM_UID]) === owner && Number(fields[SHM_CUID]) === owner);
  return isThere ? [Number(id)] : [];
}

function isWhole(text: string | undefined): text is string {
  return text !== undefined && /^-?\d{1,20}$/.test(text);
}

/** PostgreSQL writes it as an unsigned long, the kernel as what it is: 32 bits with a sign. */
function keyOf(text: string): bigint {
  return BigInt.asIntN(32, BigInt(text));
}

async function removeSharedMemory(id: number): Promise<void> {
  // Gone already when the server ended by itself.
  await promisify(execFile)('ipcrm', ['-m', String(id)]).catch(() => undefined);
}
