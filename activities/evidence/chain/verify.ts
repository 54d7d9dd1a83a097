import { z } from 'zod';
import { canonicalJson } from '../../../contracts/canonical.ts';
import { chainEntrySchema, sealSchema, type ChainEntry, type EntryKind, type Salts, type Signature } from '../../../contracts/chain.ts';
import { wellFormed } from '../../../contracts/whole-characters.ts';
import { align } from './align.ts';
import { BEGINNING, entryHash, entryName } from './build-chain.ts';
import { digestOf, isObject, redactedFields } from './digest.ts';
import { firstSyntaxError, locate, nameOfSealMember } from './locate.ts';
import { fullPatience } from './pairing.ts';
import { CHAIN_HEADER, COVERED, labelOf, LISTS, partsOf, type Part } from './parts.ts';
import { strangeSalts, unreadMembers } from './seal-flaws.ts';

/** What is wrong with a piece of evidence, and where: `part` names the entry for people, such as `step 3 (copy)`. */
export interface Flaw { part: string; what: 'altered' | 'dropped' | 'added' | 'moved' | 'notCanonical' | 'unreadable'; detail: string }

/** What was found out about the chain of a piece of evidence. Its signature is another question. */
export interface Verification {
  flaws: Flaw[];
  /** The head, as the entries have it; null where there is no chain. */
  head: string | null;
  signature: Signature | null;
  entries: number;
  /** Pointers of the fields that were redacted: their values are not known, and everything else is verified. */
  redacted: string[];
}

const NOTHING: Verification = { flaws: [], head: null, signature: null, entries: 0, redacted: [] };

/** Recomputes the whole chain of a file of evidence from its bytes. Needs nothing else, and never throws for what is in them. */
export function verifyChain(bytes: Uint8Array): Verification {
  try {
    return recompute(bytes);
  } catch (error) {
    // Nested so deeply that nothing can follow it: no evidence is.
    if (!(error instanceof RangeError)) throw error;
    return { ...NOTHING, flaws: [{ part: 'the file', what: 'unreadable', detail: 'it is nested deeper than any evidence' }] };
  }
}

function recompute(bytes: Uint8Array): Verification {
  const none = NOTHING;
  const read = readCanonical(bytes);
  if ('flaw' in read) return { ...none, flaws: [read.flaw] };
  const { evidence, flaws } = read;
  const given = isObject(evidence['chain']) ? evidence['chain']['seal'] : undefined;
  if (given === undefined || given === null) return { ...none, flaws: [...flaws, { part: 'the chain', what: 'dropped', detail: 'this evidence has none, so nothing can be verified; evidence of an older version has none either' }] };
  const chain = sealSchema.safeParse(given);
  if (!chain.success) {
    const [issue] = chain.error.issues;
    return { ...none, flaws: [...flaws, { part: nameOfSealPart(given, issue?.path ?? []), what: 'altered', detail: `the chain cannot be read: ${issue?.path.join('.') ?? ''}: ${issue?.message ?? ''}` }] };
  }
  const { entries, head, salts, signature } = chain.data;
  const parts = partsOf(evidence);
  const found = [flaws, unknownMembers(evidence), missingLists(evidence), compareParts(entries, parts, salts), recomputeHashes(entries, head), unreadMembers(given, chain.data)].flat();
  // Where a part is not what it was, it has other fields, too: that is said already.
  return { flaws: found.length === 0 ? strangeSalts(salts, entries, parts) : withoutEchoes(found), head, signature, entries: entries.length, redacted: redactedFields(evidence) };
}

function readCanonical(bytes: Uint8Array): { evidence: Record<string, unknown>; flaws: Flaw[] } | { flaw: Flaw } {
  const text = new TextDecoder('utf-8', { ignoreBOM: true }).decode(bytes);
  const place = (offset: number) => locate(text, offset);
  // A byte that is no UTF-8 decodes to the replacement character, which evidence can hold, too: the bytes tell.
  const encoded = new TextEncoder().encode(text);
  const wrong = firstDifference(bytes, encoded);
  if (wrong !== -1) return { flaw: { part: place(new TextDecoder().decode(bytes.subarray(0, wrong)).length), what: 'unreadable', detail: `byte ${wrong} is not UTF-8` } };
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    const offset = firstSyntaxError(text);
    return { flaw: { part: place(offset), what: 'unreadable', detail: `this is not JSON from character ${offset} on` } };
  }
  if (!isObject(value)) return { flaw: { part: 'the file', what: 'unreadable', detail: 'it holds no evidence' } };
  // What holds half a character is JSON, and has no canonical form.
  const canonical = canonicalJson(wellFormed(value));
  if (canonical === text) return { evidence: value, flaws: [] };
  const offset = firstDifference(text, canonical);
  return { evidence: value, flaws: [{ part: place(offset), what: 'notCanonical', detail: `from character ${offset} on this is not the canonical form of JSON (RFC 8785) in which evidence is written` }] };
}

function firstDifference(a: ArrayLike<unknown>, b: ArrayLike<unknown>): number {
  const length = Math.min(a.length, b.length);
  for (let index = 0; index < length; index += 1) if (a[index] !== b[index]) return index;
  return a.length === b.length ? -1 : length;
}

function unknownMembers(evidence: Record<string, unknown>): Flaw[] {
  const strangers = (value: unknown, known: readonly string[], prefix: string): Flaw[] => Object.keys(isObject(value) ? value : {}).filter((name) => !known.includes(name))
    .map((name) => ({ part: `${prefix}${name}`, what: 'added', detail: 'evidence has no such member, and no entry of the chain is for it' }));
  return [...strangers(evidence, [...COVERED, 'chain'], 'member '), ...strangers(evidence['chain'], [...CHAIN_HEADER, 'seal'], 'member chain.')];
}

/** An empty list has no entry that would miss it: what stands in its place, or that nothing does, shows here. */
function missingLists(evidence: Record<string, unknown>): Flaw[] {
  const flaws: Flaw[] = [];
  const look = (holder: Record<string, unknown>, name: string, part: string) => {
    if (!Object.hasOwn(holder, name)) flaws.push({ part, what: 'dropped', detail: 'it is gone, also where nothing was in it' });
    else if (!Array.isArray(holder[name])) flaws.push({ part, what: 'altered', detail: 'it is no list' });
  };
  for (const name of Object.keys(LISTS)) look(evidence, name, `the list ${name}`);
  const gates = Array.isArray(evidence['gates']) ? evidence['gates'] as unknown[] : [];
  for (const [index, gate] of gates.entries()) if (isObject(gate)) look(gate, 'decisions', `the decisions at gate ${index + 1}`);
  return flaws;
}

/** Each list is aligned by itself; what is no list has one entry and one part. */
function compareParts(entries: readonly ChainEntry[], parts: readonly Part[], salts: Salts): Flaw[] {
  const flaws: Flaw[] = [];
  const lists = new Map<string, { theirs: (ChainEntry & { index: number })[]; ours: Part[] }>();
  const listOf = ({ kind, of }: { kind: EntryKind; of: string }) => {
    const name = `${kind} ${of.replace(/\/\d+$/, '')}`;
    const list = lists.get(name) ?? { theirs: [], ours: [] };
    lists.set(name, list);
    return list;
  };
  for (const [index, entry] of entries.entries()) listOf(entry).theirs.push({ ...entry, index });
  for (const part of parts) listOf(part).ours.push(part);
  const patience = fullPatience();
  for (const { theirs, ours } of lists.values()) {
    theirs.sort((a, b) => positionOf(a) - positionOf(b));
    ours.sort((a, b) => positionOf(a) - positionOf(b));
    const { altered, dropped, added, moved } = align({
      entries: theirs.length, elements: ours.length, patience,
      isSame: (entry, element) => theirs[entry]?.digest === digestOf(ours[element]?.value, salts, entryName(theirs[entry]?.index ?? -1)),
      textOf: (element) => canonicalJson(ours[element]?.value),
    });
    const part = (element: number) => labelOf(ours[element] as Part);
    for (const { element } of altered) flaws.push({ part: part(element), what: 'altered', detail: 'it is not what its entry in the chain was made of' });
    for (const entry of dropped) flaws.push({ part: labelOf(theirs[entry] as ChainEntry), what: 'dropped', detail: 'its entry is in the chain, and it is gone' });
    for (const element of added) flaws.push({ part: part(element), what: 'added', detail: 'no entry in the chain is for it' });
    for (const { entry, element } of moved) flaws.push({ part: part(element), what: 'moved', detail: `it belongs where ${labelOf(theirs[entry] as ChainEntry)} stands` });
  }
  // Every digest at once: that is what all have in common.
  const isEverything = parts.length > 1 && flaws.length === parts.length && flaws.every(({ what }) => what === 'altered');
  if (isEverything) return [{ part: 'the salts', what: 'altered', detail: 'no part has the digest that is in the chain' }];
  return patience.isSpent ? [...flaws, TOO_MUCH] : flaws;
}

/** No list, and so no part of which this would be an echo. */
const TOO_MUCH: Flaw = { part: 'the order', what: 'altered', detail: 'so much differs that not all was looked for everywhere: what is called altered, dropped or added may have been moved' };

function recomputeHashes(entries: readonly ChainEntry[], head: string): Flaw[] {
  const flaws: Flaw[] = [];
  let previous = BEGINNING;
  for (const [index, entry] of entries.entries()) {
    if (entryHash(previous, entry) !== entry.hash) flaws.push({ part: `entry ${index + 1} of the chain (${labelOf(entry)})`, what: 'altered', detail: 'its hash in the chain is not that of it and what is before it: it, or an entry before it, was altered, dropped, added or moved' });
    previous = entry.hash;
  }
  if (previous !== head) flaws.push({ part: 'the head', what: 'altered', detail: 'it is not the hash of the last entry' });
  return flaws;
}

/** A part that is already named for what was done to it is not named once more for its hash. */
function withoutEchoes(flaws: readonly Flaw[]): Flaw[] {
  const first = new Map<string, Flaw>();
  for (const flaw of flaws) if (!first.has(flaw.part)) first.set(flaw.part, flaw);
  return [...first.values()];
}

function positionOf({ of }: { of: string }): number {
  return Number(/\d+$/.exec(of)?.[0] ?? 0);
}

function nameOfSealPart(seal: unknown, path: readonly PropertyKey[]): string {
  const [member, index] = path;
  const entries = isObject(seal) ? seal['entries'] : undefined;
  const entry = member === 'entries' && typeof index === 'number' && Array.isArray(entries) ? (entries[index] as unknown) : undefined;
  const known = z.looseObject({ kind: chainEntrySchema.shape.kind, of: z.string() }).safeParse(entry).data;
  if (member === 'entries' && typeof index === 'number') return `entry ${index + 1} of the chain${known ? ` (${labelOf(known)})` : ''}`;
  return nameOfSealMember(member);
}
