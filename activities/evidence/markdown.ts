import { plain } from '../../contracts/plain.ts';

/** What means something to GitHub's Markdown wherever it stands in a line. */
const SIGNIFICANT = /[\\`*_{}[\]<>&!|~^$#+=]/g;
/** What means something where a block begins: a list, a heading's line. */
const OPENING = /^\d+(?=[.)](?:\s|$))|^(?=-)/;
/**
 * What renderers make links, mentions or pictures of after they have read the escapes, so that no escape helps: addresses,
 * people, numbers of issues, hashes of commits, names of emoji.
 */
const LINKED = /@|#\w|\/\/|\bwww\.|:[a-z+-]|(?<!\d):\w+:|\bGH-\d|\b[0-9a-f]{7,}\b/i;

/**
 * Text from elsewhere, as part of one line of Markdown or of a cell of a table: it shows as it is, and makes no line, link,
 * heading, cell or HTML. What would be linked whatever is written before it stands as code, of which nothing is made.
 */
export function text(value: string): string {
  const line = plain(value).trim();
  if (LINKED.test(line)) return code(line);
  return line.replaceAll(SIGNIFICANT, String.raw`\$&`).replace(OPENING, (number: string) => (number === '' ? '\\' : `${number}\\`));
}

/** Text as code. A bar would end a cell in there, and what escapes it shows elsewhere: it stands between pieces of code. */
export function code(value: string): string {
  return plain(value).trim().split('|').map((part) => (part.trim() === '' ? part : span(part))).join(String.raw`\|`);
}

function span(part: string): string {
  const longest = longestTicks(part);
  const fence = '`'.repeat(longest + 1);
  return longest > 0 ? `${fence} ${part} ${fence}` : `${fence}${part}${fence}`;
}

function longestTicks(line: string): number {
  return [...line.matchAll(/`+/g)].reduce((longest, [ticks]) => Math.max(longest, ticks.length), 0);
}

/** Rows below headings, as a table. Cells are Markdown already. */
export function table(headings: readonly string[], rows: readonly (readonly string[])[]): string {
  return [headings, headings.map(() => '---'), ...rows].map((cells) => `| ${cells.join(' | ')} |`).join('\n');
}

/** Lines that stand as they are, as wide as they are. No line can end the block. */
export function block(lines: readonly string[], language = 'text'): string {
  const fence = '`'.repeat(lines.reduce((most, line) => Math.max(most, longestTicks(line) + 1), 3));
  return [`${fence}${language}`, ...lines.map(plain), fence].join('\n');
}
