import { canonicalJson } from '../../../contracts/canonical.ts';
import type { ChainEntry, Salts } from '../../../contracts/chain.ts';
import { entryName } from './build-chain.ts';
import { escapePointer, fieldsOf } from './digest.ts';
import { nameOfSealMember } from './locate.ts';
import type { Part } from './parts.ts';
import type { Flaw } from './verify.ts';

/**
 * What stands in a seal beside what its schema reads there. A schema passes over a member named `__proto__`, so what it made of
 * the seal is held against what the file has.
 */
export function unreadMembers(given: unknown, read: unknown): Flaw[] {
  if (canonicalJson(given) === canonicalJson(read)) return [];
  const path = strangerIn(given, read) ?? [];
  return [{ part: nameOfSealMember(path[0]), what: 'added', detail: `a seal has no such member: ${path.map(escapePointer).join('/')}` }];
}

function strangerIn(given: unknown, read: unknown): string[] | undefined {
  if (typeof given !== 'object' || given === null) return undefined;
  for (const [name, value] of Object.entries(given)) {
    if (typeof read !== 'object' || read === null || !Object.hasOwn(read, name)) return [name];
    const below = strangerIn(value, (read as Record<string, unknown>)[name]);
    if (below) return [name, ...below];
  }
  return undefined;
}

/**
 * No digest is made with a salt that belongs to no field, so nothing else would miss it: any text could stand there, under the
 * head and the signature of the evidence.
 */
export function strangeSalts(salts: Salts, entries: readonly ChainEntry[], parts: readonly Part[]): Flaw[] {
  if (!('fields' in salts)) return [];
  const places = new Map(entries.map(({ kind, of }, index) => [`${kind} ${of}`, entryName(index)]));
  const wanted = new Set(parts.flatMap(({ kind, of, value }) => fieldsOf(value).map((field) => `${places.get(`${kind} ${of}`) ?? ''}#${field}`)));
  const names = Object.keys(salts.fields);
  const flaw = (what: Flaw['what'], detail: string): Flaw => ({ part: 'the salts', what, detail });
  return [
    ...names.filter((name) => !wanted.has(name)).map((name) => flaw('added', `"${name}" belongs to no field of the evidence`)),
    ...[...wanted].filter((name) => !Object.hasOwn(salts.fields, name)).map((name) => flaw('dropped', `that of the field "${name}" is gone`)),
  ];
}
