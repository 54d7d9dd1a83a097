import { readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { DRILL_VARIABLE } from '../../activities/drill/drill.ts';
import { ownerTag } from '../../activities/kernel/names.ts';
import type { Owner } from '../../contracts/ledger.ts';

/** A process as /proc shows it: `command` with its arguments, `cwd` empty where that cannot be seen. */
export interface HostProcess { pid: number; parent: number; command: string; cwd: string }

/**
 * Processes of one run's drill, or of all drills below a directory: by environment, working directory or arguments.
 * Synchronous, because aiming and sampling cannot wait.
 */
export function drillProcesses(of: { owner?: Owner; drillsDirectory: string }): HostProcess[] {
  const tag = of.owner ? ownerTag(of.owner) : undefined;
  const directory = tag === undefined ? `${of.drillsDirectory}/` : `${of.drillsDirectory}/${tag}-`;
  const variable = tag === undefined ? undefined : `${DRILL_VARIABLE}=d-${tag}-`;
  const found: HostProcess[] = [];
  for (const name of readdirSync('/proc')) {
    const pid = Number(name);
    if (!Number.isInteger(pid) || pid === process.pid) continue;
    const command = read(pid, 'cmdline').replaceAll('\0', ' ').trim();
    // A zombie has no command line and can do nothing; nor has a thread of the kernel.
    if (command === '') continue;
    const cwd = look(() => readlinkSync(`/proc/${pid}/cwd`));
    if (`${cwd}/`.startsWith(directory) || command.includes(directory) || (variable !== undefined && read(pid, 'environ').includes(variable))) found.push({ pid, parent: parentOf(pid), command, cwd });
  }
  return found;
}

/** Processes other than ours that hold a file below `directory` open. */
export function processesWithOpenFiles(directory: string): string[] {
  const found: string[] = [];
  for (const name of readdirSync('/proc')) {
    if (!/^\d+$/.test(name) || Number(name) === process.pid) continue;
    let descriptors: string[] = [];
    try {
      descriptors = readdirSync(`/proc/${name}/fd`);
    } catch {
      // Ended meanwhile.
    }
    const file = descriptors.map((fd) => look(() => readlinkSync(`/proc/${name}/fd/${fd}`))).find((path) => path.startsWith(`${directory}/`));
    if (file !== undefined) found.push(`process ${name} has ${file} open`);
  }
  return found;
}

/** Our own copying process, by its program: it copies for drills and for backups alike. */
export const isCopying = ({ command }: HostProcess): boolean => command.includes('copy-process.mjs');

/** A server, or one of its children. */
export const isPostgres = ({ command }: HostProcess): boolean => /^(\S+\/postgres -D |postgres: )/.test(command);

/** Servers, without their children that have not set their title yet. */
export function postmasters(processes: readonly HostProcess[]): HostProcess[] {
  const all = processes.filter(({ command }) => /^\S+\/postgres -D /.test(command));
  return all.filter(({ parent }) => !processes.some(({ pid }) => pid === parent));
}

function parentOf(pid: number): number {
  const stat = read(pid, 'stat');
  return Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[1]);
}

function read(pid: number, file: string): string {
  return look(() => readFileSync(`/proc/${pid}/${file}`, 'utf8'));
}

function look(get: () => string): string {
  try {
    return get();
  } catch {
    return '';
  }
}
