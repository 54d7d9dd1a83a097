import { z } from 'zod';

/** What takes no room on a screen: format and control characters that are no spaces, fillers, and what else Unicode has fonts ignore. */
const INVISIBLE = /[\p{Cf}\p{Default_Ignorable_Code_Point}]|(?!\s)\p{Cc}/gu;

const name = z.string().min(1).max(200).regex(/^[^@\s]([^\r\n]*\S)?$/u, 'a name has no space at its ends, and "@" before it means a group').refine(isName, 'a name has characters that people can see');
const instant = z.iso.datetime({ offset: true, message: 'write an instant as 2026-12-31T18:00:00Z' });

/** Somebody who decides, and the other names that are the same person's. */
export const personSchema = z.strictObject({
  /** Other spellings, and the names that tokens and clients give this person. */
  aliases: z.array(name).default([]),
  /** Who decides for this person, and when. A delegate's decision takes this person's place and the delegate's own. */
  delegates: z.array(z.strictObject({ to: name, from: instant.optional(), until: instant.optional() })).default([]),
});
/** `people` of the configuration, by one name of each; their other names are aliases. */
export const peopleSchema = z.record(name, personSchema).default({});
/** Names are compared with {@link samePerson}, and never as text. */
export type People = z.output<typeof peopleSchema>;

/** Names of people that a policy takes together as `@group`. */
export const groupsSchema = z.record(z.string().regex(/^[a-z0-9][a-z0-9_-]{0,40}$/, 'a group is named with a-z, 0-9, _ and -'), z.array(name).min(1)).default({});
/** Members by the group's name, which is without its `@` here. */
export type Groups = z.output<typeof groupsSchema>;

/** How a name is compared: case, width, the number of spaces and what nobody sees make nobody another person. The blank of Braille is a space too. */
export function normalName(text: string): string {
  return text.normalize('NFKC').replaceAll(INVISIBLE, '').normalize('NFKC').replaceAll(/[\s\u2800]+/gu, ' ').trim().toLowerCase();
}

/** Whether there is anything in a name that people can see. */
export function isName(text: string): boolean {
  return normalName(text) !== '';
}

/** The person whom a name stands for, as the configuration calls them; a name that it does not know stands for itself. */
export function personOf(text: string, people: People): string {
  const wanted = normalName(text);
  const known = Object.entries(people).find(([person, { aliases }]) => [person, ...aliases].some((alias) => normalName(alias) === wanted));
  return known ? normalName(known[0]) : wanted;
}

/** Whether both names stand for one person. */
export function samePerson(a: string | null, b: string | null, people: People = {}): boolean {
  return a !== null && b !== null && isName(a) && personOf(a, people) === personOf(b, people);
}

/** Whom somebody may decide for at an instant. */
export function delegatorsOf(delegate: string, people: People, atMs: number): string[] {
  return Object.entries(people).filter(([, { delegates }]) => delegates.some(({ to, from, until }) =>
    samePerson(to, delegate, people) && (from === undefined || Date.parse(from) <= atMs) && (until === undefined || atMs < Date.parse(until)))).map(([person]) => person);
}

/** Names with each `@group` replaced by who is in it, each person once. `unknown`: groups that there are none of. */
export function membersOf(names: readonly string[], groups: Groups): { members: string[]; unknown: string[] } {
  const unknown = names.filter((one) => one.startsWith('@') && !Object.hasOwn(groups, one.slice(1)));
  const all = names.flatMap((one) => (one.startsWith('@') ? groups[one.slice(1)] ?? [] : [one]));
  const members = all.filter((one, index) => all.findIndex((other) => normalName(other) === normalName(one)) === index);
  return { members, unknown };
}
