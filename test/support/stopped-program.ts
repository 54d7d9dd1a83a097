import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { DRILL_VARIABLE } from '../../activities/drill/drill.ts';
import { endProcessesOf, findProcesses } from '../../activities/drill/processes.ts';

/** What to start, and when and how to stop it. */
export interface StopProgramArgs {
  /** A built one, below `dist`. */
  program: string;
  args?: readonly string[];
  environment?: Record<string, string>;
  /** Whether it has come as far as it is to be stopped at, by what it has said and the directory for its temporary files. */
  until: (output: string, directory: string) => boolean;
  signal: NodeJS.Signals;
  /** To all that it has started as well, as Ctrl-C in a terminal does. */
  group: boolean;
}

/** What a program that was stopped has left behind, and what it said. */
export interface Stopped { exitCode: number | null; said: string; processes: string[]; files: string[] }

/** Starts a program with a directory of its own for temporary files, stops it at a moment, and looks what is left. */
export async function stopProgram({ program, args = [], environment, until, signal, group }: StopProgramArgs): Promise<Stopped> {
  const place = mkdtempSync(join(tmpdir(), 'stopped-'));
  // The database server's user must be able to walk through.
  chmodSync(place, 0o711);
  // A group of its own, as a terminal makes one of what is typed.
  const child = spawn(process.execPath, [fileURLToPath(new URL(`../../dist/${program}`, import.meta.url)), ...args], { detached: true, stdio: ['ignore', 'pipe', 'pipe'], env: { ...process.env, ...environment, TMPDIR: place } });
  const ended = once(child, 'exit');
  try {
    let said = '';
    for (const stream of [child.stdout, child.stderr]) stream.on('data', (chunk: Buffer) => { said += chunk.toString(); });
    while (!until(said, place)) {
      if (child.exitCode !== null || child.signalCode !== null) throw new Error(`ended before it was to be stopped:\n${said}`);
      await sleep(20);
    }
    process.kill(group ? -child.pid! : child.pid!, signal);
    const [exitCode] = await ended as [number | null];
    return { exitCode, said, ...await leftIn(place) };
  } finally {
    child.kill('SIGKILL');
    await endAllIn(place);
  }
}

const drillsIn = (place: string) => ({ marker: { name: DRILL_VARIABLE, value: 'by directory' }, directory: place });

/** What a program that has ended has left in its directory for temporary files, and which processes have that from it. */
export async function leftIn(place: string): Promise<Pick<Stopped, 'processes' | 'files'>> {
  const look = async (): Promise<Set<number>> => new Set([...(await findProcesses(drillsIn(place))).map(({ pid }) => pid), ...inheritors(place)]);
  let left = await look();
  // What watches over a server sleeps for moments between its looks whether we live.
  for (const end = Date.now() + 5_000; left.size > 0 && Date.now() < end; left = await look()) await sleep(100);
  return { processes: [...left].map(commandOf), files: readdirSync(place).filter((name) => !name.startsWith('durable-runbooks-bin-')) };
}

/** Ends whatever is left of a program, and removes its directory: what a test found there must not disturb the next one. */
export async function endAllIn(place: string): Promise<void> {
  await endProcessesOf(drillsIn(place));
  for (const pid of inheritors(place)) try { process.kill(pid, 'SIGKILL'); } catch { /* It has ended meanwhile. */ }
  rmSync(place, { recursive: true, force: true, maxRetries: 10, retryDelay: 200 });
}

const ofProcess = (pid: number, file: 'environ' | 'cmdline'): string => {
  try { return readFileSync(`/proc/${pid}/${file}`, 'utf8'); } catch { return ''; }
};
const commandOf = (pid: number): string => `${pid}: ${ofProcess(pid, 'cmdline').replaceAll('\0', ' ')}`;

/** Whatever was started by the program, and by what that started: it has the directory for temporary files from there. */
function inheritors(place: string): number[] {
  return readdirSync('/proc').map(Number).filter((pid) => pid > 0 && ofProcess(pid, 'environ').includes(`TMPDIR=${place}`));
}
