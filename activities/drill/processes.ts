import { execFile } from 'node:child_process';
import { readdir, readFile, readlink, realpath } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import { mountSource } from './isolation.ts';
import { openToOthers } from './private-place.ts';

const run = promisify(execFile);

const LOOKED_AT_TOGETHER = 32;

/** One process and not another that got the same number later. */
export interface ProcessIdentity {
  pid: number;
  /** The kernel's start time of the process; opaque. */
  startedAt: string;
}

/** `undefined` when there is no such process. */
export async function identifyProcess(pid: number): Promise<ProcessIdentity | undefined> {
  if (!Number.isInteger(pid) || pid <= 1) return undefined;
  if (process.platform === 'linux') {
    const stat = await readFile(`/proc/${pid}/stat`, 'utf8').catch(() => undefined);
    // The name in parentheses may hold anything, so count from behind it: state is field 3, start time field 22.
    const fields = stat?.slice(stat.lastIndexOf(')') + 2).split(' ');
    const startedAt = fields?.[19];
    return startedAt === undefined || fields?.[0] === 'Z' ? undefined : { pid, startedAt };
  }
  const found = await run('ps', ['-o', 'lstart=', '-p', String(pid)]).catch(() => undefined);
  const startedAt = found?.stdout.trim();
  return startedAt ? { pid, startedAt } : undefined;
}

/** The command line of a process, as `ps` shows it; empty when there is no such process. */
export async function commandOf(pid: number): Promise<string> {
  return run('ps', ['-o', 'command=', '-p', String(pid)]).then(({ stdout }) => stdout.trim(), () => '');
}

/** Whether the very process is still there. */
export async function isAlive(identity: ProcessIdentity): Promise<boolean> {
  return (await identifyProcess(identity.pid))?.startedAt === identity.startedAt;
}

/** Kills a process if it is the recorded one and, where the host shows environments, carries the marker. */
export async function endProcess(args: { identity: ProcessIdentity; marker: { name: string; value: string }; signal?: NodeJS.Signals; waitMs?: number }): Promise<void> {
  const { identity, marker } = args;
  if (!(await isAlive(identity))) return;
  const environment = await readEnvironment(identity.pid);
  if (environment && !environment.includes(`${marker.name}=${marker.value}`)) return;
  sendSignal(identity.pid, args.signal ?? 'SIGKILL');
  await untilGone([identity], args.waitMs ?? 10_000);
}

/**
 * Every process of a drill: its environment carries the drill's name, or it is a `postgres`, or carries the name of another
 * one, and its working directory lies in the drill's, or it lives among the drill's private mounts, whatever it made of
 * the rest. A person's shell or editor that works there is none.
 * Sees only what this user may see; root and the drill's own user see all of them. Linux only; elsewhere empty.
 */
export async function findProcesses({ marker, directory }: { marker: { name: string; value: string }; directory: string }): Promise<ProcessIdentity[]> {
  if (process.platform !== 'linux') return [];
  const args = { marker, directory: await asTheKernelNames(directory) };
  const pids = (await readdir('/proc')).map(Number).filter((pid) => Number.isInteger(pid) && pid > 1 && pid !== process.pid);
  const found: ProcessIdentity[] = [];
  // Not all at once: a process whose files cannot be opened for want of descriptors would go unseen.
  for (let from = 0; from < pids.length; from += LOOKED_AT_TOGETHER) {
    const some = await Promise.all(pids.slice(from, from + LOOKED_AT_TOGETHER).map(async (pid) => (await isOfDrill(pid, args)) ? identifyProcess(pid) : undefined));
    found.push(...some.filter((identity) => identity !== undefined));
  }
  return found;
}

/**
 * A drill's directory without the links that lead to it: working directories are told without. Not where others could
 * have put one of those: it might lead to production's directory, and production's processes would be ended.
 */
async function asTheKernelNames(directory: string): Promise<string> {
  const parent = dirname(directory);
  const open = await openToOthers(parent).catch((error: Error) => error.message);
  return open === undefined ? join(await resolveLinks(parent), basename(directory)) : directory;
}

/** As far as it is there: of a drill that was removed, what is above it. */
async function resolveLinks(path: string): Promise<string> {
  return realpath(path).catch(async () => (dirname(path) === path ? path : join(await resolveLinks(dirname(path)), basename(path))));
}

async function isOfDrill(pid: number, { marker, directory }: Parameters<typeof findProcesses>[0]): Promise<boolean> {
  const [cwd, environment] = await Promise.all([readlink(`/proc/${pid}/cwd`).catch(() => ''), readEnvironment(pid)]);
  const path = cwd.replace(/ \(deleted\)$/, '');
  const within = path === directory || path.startsWith(`${directory}/`);
  const carriesMarker = (environment ?? []).some((one) => (within ? one.startsWith(`${marker.name}=`) : one === `${marker.name}=${marker.value}`));
  // PostgreSQL's children write their title over the environment, but their program and working directory stay.
  return carriesMarker || (within && await isPostgres(pid)) || livesAmongMounts(pid, marker.value);
}

/**
 * By the name of the mounts that it sees, and not by the number of its namespace: the kernel gives a number out again as
 * soon as it is free, to a container of somebody else perhaps.
 */
async function livesAmongMounts(pid: number, name: string): Promise<boolean> {
  const [own, its] = await Promise.all(['self', pid].map((one) => readlink(`/proc/${one}/ns/mnt`).catch(() => undefined)));
  if (its === undefined || its === own) return false;
  const mounts = await readFile(`/proc/${pid}/mountinfo`, 'utf8').catch(() => '');
  return mounts.includes(` - tmpfs ${mountSource(name)} `);
}

/** Waits until all are gone; gives those that are not. */
export async function untilGone(identities: readonly ProcessIdentity[], waitMs: number): Promise<ProcessIdentity[]> {
  const deadline = Date.now() + waitMs;
  for (;;) {
    const alive: ProcessIdentity[] = [];
    for (const identity of identities) if (await isAlive(identity)) alive.push(identity);
    if (alive.length === 0 || Date.now() > deadline) return alive;
    await sleep(10);
  }
}

/** Sends a signal; a process that is already gone is no failure. */
export function sendSignal(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(pid, signal);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
  }
}

async function isPostgres(pid: number): Promise<boolean> {
  const program = await readlink(`/proc/${pid}/exe`).catch(() => '');
  return basename(program.replace(/ \(deleted\)$/, '')) === 'postgres';
}

async function readEnvironment(pid: number): Promise<string[] | undefined> {
  return readFile(`/proc/${pid}/environ`, 'utf8').then((text) => text.split('\0'), () => undefined);
}

/** Ends everything that an earlier attempt started for a drill, also a server that has not come to write its lock file yet; but nothing that is `spared`. */
export async function endProcessesOf(args: { marker: { name: string; value: string }; directory: string; spared?: (pid: number) => boolean }): Promise<void> {
  const found = (await findProcesses(args)).filter(({ pid }) => args.spared?.(pid) !== true);
  for (const { pid } of found) sendSignal(pid, 'SIGKILL');
  await untilGone(found, 10_000);
}
