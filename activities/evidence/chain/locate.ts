import { getLocation, parseTree, type ParseError } from 'jsonc-parser';
import type { EntryKind } from '../../../contracts/chain.ts';
import { CHAIN_HEADER, CLOSE, COVERED, HEADER, labelOf, LISTS, SINGLES } from './parts.ts';

/** Which entry a place in the text of evidence belongs to, for people, also where the text is no longer JSON. */
export function locate(text: string, offset: number): string {
  // Where the text is broken between two parts, or in a name, it may be either: what stands before ended early, perhaps.
  const near = [nearest(text, offset - 1, -1), nearest(text, offset, 1)].filter((name) => name !== undefined);
  return [...new Set(near)].join(' or ') || 'the file';
}

function nearest(text: string, offset: number, direction: 1 | -1): string | undefined {
  const farthest = Math.min(NEARBY, READ / text.length);
  for (let distance = 0; distance <= farthest; distance += 1) {
    const name = nameOfPath(getLocation(text, Math.min(Math.max(offset + direction * distance, 0), text.length)).path);
    if (name !== undefined) return name;
  }
  return undefined;
}

/** Longer than what stands between two parts. */
const NEARBY = 40;

/** About so many characters are read in each direction, since each look begins at the start of the text: some seconds. */
const READ = 20_000_000;

/** Where a text stops being JSON. */
export function firstSyntaxError(text: string): number {
  const errors: ParseError[] = [];
  parseTree(text, errors, { disallowComments: true, allowTrailingComma: false, allowEmptyContent: false });
  return errors[0]?.offset ?? text.length;
}

const MEMBERS: readonly string[] = [...COVERED, 'chain'];
const KINDS: Readonly<Record<string, EntryKind>> = { ...LISTS, ...SINGLES };
const OF_SEAL: Readonly<Record<string, string>> = { entries: 'the chain', head: 'the head', salts: 'the salts', signature: 'the signature', method: 'the method' };

/** A member whose name lost one character to damage is still that one. */
function mend(name: string): string {
  const isNear = (known: string) => known.length === name.length && Array.from(known).filter((letter, index) => letter !== name[index]).length === 1;
  return MEMBERS.find(isNear) ?? name;
}

/** Undefined for what is no member of evidence. */
function nameOfPath([member, index, ...rest]: readonly (string | number)[]): string | undefined {
  if (member === undefined || member === '') return undefined;
  const name = MEMBERS.includes(String(member)) ? String(member) : mend(String(member));
  const kind = Object.hasOwn(KINDS, name) ? KINDS[name] : undefined;
  if (kind !== undefined) {
    if (Object.hasOwn(SINGLES, name)) return labelOf({ kind, of: `/${name}` });
    if (typeof index !== 'number') return `the list ${name}`;
    const isDecision = name === 'gates' && rest[0] === 'decisions' && typeof rest[1] === 'number';
    return isDecision ? labelOf({ kind: 'decision', of: `/gates/${index}/decisions/${rest[1]}` }) : labelOf({ kind, of: `/${name}/${index}` });
  }
  if (name === 'chain') {
    if (index !== 'seal') return typeof index === 'string' && CHAIN_HEADER.includes(index) ? 'the header' : undefined;
    const [of, entry] = rest;
    return of === 'entries' && typeof entry === 'number' ? `entry ${entry + 1} of the chain` : nameOfSealMember(of);
  }
  if (CLOSE.includes(name)) return labelOf({ kind: 'close', of: '' });
  return HEADER.includes(name) ? labelOf({ kind: 'header', of: '' }) : undefined;
}

/** A member of the seal, for people. */
export function nameOfSealMember(member: PropertyKey | undefined): string {
  return typeof member === 'string' && Object.hasOwn(OF_SEAL, member) ? OF_SEAL[member] as string : 'the chain';
}
