import { userInfo } from 'node:os';
import colours from 'picocolors';
import type { GlobalOptions } from './options.ts';

export { plain } from '../../contracts/plain.ts';

/** Prints a command's answer: one JSON object, or lines for people. */
export function print(options: GlobalOptions, value: unknown, lines: () => readonly string[]): void {
  process.stdout.write(!options.json ? `${lines().join('\n')}\n` : options.output === 'jsonl' ? oneEach(value) : `${JSON.stringify(value, null, 2)}\n`);
}

function oneEach(value: unknown): string {
  return (Array.isArray(value) ? value : [value]).map((one) => `${JSON.stringify(one)}\n`).join('');
}

/** Says something beside the answer: on standard error, so that the answer can be piped. */
export function note(line: string): void {
  process.stderr.write(`${line}\n`);
}

/** Rows as aligned columns, with one line of headings. */
export function table(headings: readonly string[], rows: readonly (readonly string[])[]): string[] {
  const all = [headings, ...rows];
  const widths = headings.map((_, column) => Math.max(...all.map((row) => (row[column] ?? '').length)));
  return all.map((row, index) => {
    const line = row.map((cell, column) => (column === row.length - 1 ? cell : cell.padEnd(widths[column] ?? 0))).join('  ').trimEnd();
    return index === 0 ? colours.dim(line) : line;
  });
}

/** A word in the colour of what it means. */
export function coloured(word: string, tone: 'ok' | 'bad' | 'unsure' | 'soft'): string {
  const paint = { ok: colours.green, bad: colours.red, unsure: colours.yellow, soft: colours.dim }[tone];
  return paint(word);
}

/** The name under which decisions of this system's user count, unless told otherwise. */
export function systemUser(): string {
  try {
    return userInfo().username;
  } catch {
    // A container may run under a number that has no name.
    return `uid ${process.getuid?.() ?? 'unknown'}`;
  }
}
