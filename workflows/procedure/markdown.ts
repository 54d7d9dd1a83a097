import { plain } from '../../contracts/plain.ts';

/** What means something to Markdown within a line; a colon after a letter makes a link of an address. */
const SIGNIFICANT = /[\\`*_{}[\]<>&!|~^$]|(?<=[a-z]):(?=\S)/gi;

/**
 * Text from elsewhere, as part of one line of Markdown: it shows as it is, and a name in it makes no line, link or
 * heading. What stands in back quotes stays: commands do, and nothing is made of what is in there anyway.
 */
export function inline(text: string): string {
  return plain(text).split(/(`[^`]+`)/).map((part, index) => (index % 2 === 1 ? part : part.replaceAll(SIGNIFICANT, String.raw`\$&`))).join('');
}
