import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { onTestFinished } from 'vitest';
import { endAllIn, leftIn } from './stopped-program.ts';

const program = fileURLToPath(new URL('../../dist/scripts/demo/main.js', import.meta.url));
/** Of a user who has a server, and a namespace and a key there: nothing of it is for the demo's. */
export const THEIRS = { TEMPORAL_ADDRESS: 'temporal.example.com:7233', TEMPORAL_NAMESPACE: 'ops', TEMPORAL_API_KEY: 'theirs' };

/** The demo as a user starts it. */
export interface DemoProgram {
  child: ChildProcess;
  /** All that it has printed so far. */
  said: () => string;
  /** What it printed after a word, on the same line. */
  printed: (word: RegExp) => string;
  /** Resolves with its exit code and the signal that it ended by. */
  ended: Promise<unknown[]>;
  /** Processes and files of it that are still there, beside the evidence that it keeps. */
  left: () => Promise<{ processes: string[]; files: string[] }>;
}

/** Starts the demo that was built, small, in a directory of its own. Whatever is left of it when the test ends goes then. */
export function startDemoProgram(...args: string[]): DemoProgram {
  // Short: paths of sockets below it may have 107 bytes.
  const place = mkdtempSync(join(tmpdir(), 'd'));
  // The database server's user must be able to walk through.
  chmodSync(place, 0o711);
  const child = spawn(process.execPath, [program, '--scale', '0.02', '--seed', '7', ...args], { cwd: place, stdio: ['ignore', 'pipe', 'pipe'], env: { ...process.env, ...THEIRS, TMPDIR: place } });
  const ended = once(child, 'exit');
  let output = '';
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (chunk: Buffer) => { output += chunk.toString(); });
  onTestFinished(async () => {
    child.kill('SIGKILL');
    await ended;
    await endAllIn(place);
  });
  return {
    child, ended, said: () => output,
    printed: (word) => {
      const [, found] = word.exec(output) ?? [];
      if (found === undefined) throw new Error(`nothing after ${word} in:\n${output}`);
      return found;
    },
    left: async () => {
      const { processes, files } = await leftIn(place);
      return { processes, files: files.filter((name) => name !== '.demo') };
    },
  };
}
