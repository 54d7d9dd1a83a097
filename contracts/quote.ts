import { spellUnprintable } from './plain.ts';

/** A workflow id may hold anything: as one word of a shell, and as one line of a terminal. */
export function quote(text: string): string {
  if (/^[\w./:@%+=-]+$/.test(text) && !text.startsWith('-')) return text;
  const escape = (character: string) => {
    const code = (character.codePointAt(0) ?? 0).toString(16);
    return code.length > 4 ? `\\U${code.padStart(8, '0')}` : `\\u${code.padStart(4, '0')}`;
  };
  // Spelled as bash and zsh read it: what cannot be seen cannot be copied either.
  if (spellUnprintable(text, () => '') !== text) return `$'${spellUnprintable(text.replaceAll(/['\\]/g, '\\$&'), escape)}'`;
  return `'${text.replaceAll("'", `'\\''`)}'`;
}
