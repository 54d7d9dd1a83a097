import { openRegularFile } from './hostile-files.ts';

/** What a server said since `offset`. */
export interface LogTail {
  text: string;
  end: number;
}

/** The last 256 kB at most of what was written since `offset`, in bytes. Of a log that is not there, or is no regular file, nothing. */
export async function readLogFrom(path: string, offset: number): Promise<LogTail> {
  const file = await openRegularFile(path).catch(() => undefined);
  if (!file) return { text: '', end: offset };
  try {
    const { size } = await file.stat();
    // The last 256 kB hold the reason; a chatty server must not fill our memory.
    const from = Math.max(offset, size - 262_144);
    const { buffer, bytesRead } = await file.read(Buffer.alloc(Math.max(size - from, 0)), 0, Math.max(size - from, 0), from);
    return { text: buffer.toString('utf8', 0, bytesRead), end: from + bytesRead };
  } finally {
    await file.close();
  }
}

/** What a server said since its last start. */
export interface ServerLife {
  /** The end of it, as {@link readLogFrom} gives it. */
  text: string;
  /** Whether it came to read the backup, however long ago that was: each restored segment is a line, and so is each client that comes too early. */
  replayBegan: boolean;
}

const CHUNK = 1_048_576;
const MILESTONE = /LOG: {2}(starting PostgreSQL |starting (?:archive|point-in-time) recovery|redo starts)/g;

/** What the server said since its last start, from `offset` on: how an earlier one ended explains nothing. */
export async function readLifeFrom(path: string, offset: number): Promise<ServerLife> {
  let [from, replayBegan] = [offset, false];
  for await (const { lines, start } of linesFrom(path, offset)) {
    for (const { 1: said, index } of lines.matchAll(MILESTONE)) {
      replayBegan = said !== 'starting PostgreSQL ';
      if (!replayBegan) from = start + lines.lastIndexOf('\n', index) + 1;
    }
  }
  return { text: (await readLogFrom(path, from)).text, replayBegan };
}

/** A file's whole lines from an offset on, many at a time, one character for each byte. */
async function* linesFrom(path: string, offset: number): AsyncGenerator<{ lines: string; start: number }> {
  const file = await openRegularFile(path).catch(() => undefined);
  if (!file) return;
  try {
    const buffer = Buffer.allocUnsafe(CHUNK);
    let [rest, start] = ['', offset];
    for (;;) {
      const { bytesRead } = await file.read(buffer, 0, CHUNK, start + rest.length);
      const text = rest + buffer.toString('latin1', 0, bytesRead);
      const end = bytesRead === 0 ? text.length : text.lastIndexOf('\n') + 1;
      if (end > 0) yield { lines: text.slice(0, end), start };
      if (bytesRead === 0) return;
      start += end;
      rest = text.slice(end);
    }
  } finally {
    await file.close();
  }
}

/**
 * Messages of FATAL and PANIC with what explains them, without those to clients who come too early or are still there when the server
 * stops: one that had not logged in yet, as ours that looks, is told of a time-out of its authentication.
 */
export function fatalLines(text: string): string[] {
  const found: string[] = [];
  const lines = text.split('\n');
  for (const [index, line] of lines.entries()) {
    const message = /(?:FATAL|PANIC): {2}(.*)$/.exec(line)?.[1];
    if (message === undefined || /^the database system is|^connection to client lost|^terminating|^canceling authentication/.test(message)) continue;
    const detail = /DETAIL: {2}(.*)$/.exec(lines[index + 1] ?? '')?.[1];
    found.push(detail ? `${message} (${detail})` : message);
  }
  return found;
}

/** What PostgreSQL says when a setting is lower than the source's was in the replayed WAL: it names the setting and both values. */
export function insufficientSetting(text: string): string | undefined {
  const lines = text.split('\n');
  const at = lines.findIndex((line) => line.includes('insufficient parameter settings'));
  if (at < 0) return undefined;
  const [message, detail] = [lines[at], lines[at + 1]].map((line) => /(?:WARNING|FATAL|DETAIL): {2}(.*)$/.exec(line ?? '')?.[1]);
  return detail === undefined ? message : `${message}: ${detail}`;
}

/** When the server wrote a line that holds `needle`; our log prefix begins with the epoch in seconds. */
export function timeOfLine(text: string, needle: string): Date | null {
  const line = text.split('\n').findLast((one) => one.includes(needle));
  const seconds = line === undefined ? Number.NaN : Number.parseFloat(line);
  return Number.isFinite(seconds) ? new Date(seconds * 1000) : null;
}
