/* oxlint-disable no-control-regex -- these are the characters meant */
/** What stands for white space but would break a line or a table in two. */
const BREAKS = /\r\n|[\t\n\u2028\u2029]/g;
/** What steers a terminal, breaks a line, turns the direction of the text that follows or of its neighbours, or is a text that nobody sees (tags). */
const UNPRINTABLE = /[\u0000-\u001F\u007F-\u009F\u061C\u200E\u200F\u2028\u2029\u202A-\u202E\u2066-\u2069\u{E0000}-\u{E007F}]/gu;

/** Text from elsewhere, as part of one line of a terminal: a name must not move the cursor, begin a line of its own, or turn round what follows it. */
export function plain(text: string): string {
  return text.replaceAll(BREAKS, ' ').replaceAll(UNPRINTABLE, '\uFFFD');
}

/** The text with `spell(character)` in place of each that steers a terminal, breaks a line, or turns the direction of what follows. */
export function spellUnprintable(text: string, spell: (character: string) => string): string {
  return text.replaceAll(UNPRINTABLE, spell);
}
