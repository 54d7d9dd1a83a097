import { createHash, createHmac } from 'node:crypto';
import { canonicalJson } from '../../../contracts/canonical.ts';
import { REDACTED, type Salts } from '../../../contracts/chain.ts';

/** SHA-256 of the canonical JSON (RFC 8785) of a value, in hexadecimal. */
export function hashOf(value: unknown): string {
  return createHash('sha256').update(canonicalJson(value), 'utf8').digest('hex');
}

/** The salt of a field; undefined where it was taken away with a redacted value. `field` is its place within its entry. */
export function saltOf(salts: Salts, entry: string, field: string): string | undefined {
  const name = `${entry}#${field}`;
  return 'seed' in salts ? createHmac('sha256', salts.seed).update(name).digest('hex') : salts.fields[name];
}

/**
 * The digest of a part of the evidence: of each field with its salt, and of objects and lists of the digests of what is in
 * them. So a field can be replaced by its own digest, and the digest of the whole stays.
 */
export function digestOf(value: unknown, salts: Salts, entry: string, field = ''): string {
  const redacted = redactedDigest(value);
  if (redacted !== undefined) return redacted;
  if (Array.isArray(value)) return hashOf(['list', ...value.map((item, index) => digestOf(item, salts, entry, `${field}/${index}`))]);
  if (isObject(value)) {
    return hashOf({ object: Object.fromEntries(Object.entries(value).map(([key, member]) => [key, digestOf(member, salts, entry, `${field}/${escapePointer(key)}`)])) });
  }
  return hashOf(['field', saltOf(salts, entry, field) ?? '', value]);
}

/** The fields of a part of the evidence, each by its place within it; those that were redacted are none. */
export function fieldsOf(value: unknown): string[] {
  return leavesOf(value).filter(({ isRedacted }) => !isRedacted).map(({ pointer }) => pointer);
}

/** Pointers to what was redacted. */
export function redactedFields(value: unknown): string[] {
  return leavesOf(value).filter(({ isRedacted }) => isRedacted).map(({ pointer }) => pointer);
}

/** What holds nothing further: fields, and what stands for redacted values. */
export interface Leaf { pointer: string; value: unknown; isRedacted: boolean }

/** All leaves of a value, in their order. */
export function leavesOf(value: unknown, pointer = '', found: Leaf[] = []): Leaf[] {
  const isRedacted = redactedDigest(value) !== undefined;
  if (!isRedacted && Array.isArray(value)) for (const [index, item] of value.entries()) leavesOf(item, `${pointer}/${index}`, found);
  else if (!isRedacted && isObject(value)) for (const [key, member] of Object.entries(value)) leavesOf(member, `${pointer}/${escapePointer(key)}`, found);
  else found.push({ pointer, value, isRedacted });
  return found;
}

/** The digest that stands for a redacted value; undefined for any other. */
export function redactedDigest(value: unknown): string | undefined {
  if (!isObject(value)) return undefined;
  const digest = value[REDACTED];
  return Object.keys(value).length === 1 && typeof digest === 'string' && /^[0-9a-f]{64}$/.test(digest) ? digest : undefined;
}

/** One step of a JSON pointer (RFC 6901). */
export function escapePointer(key: string): string {
  return key.replaceAll('~', '~0').replaceAll('/', '~1');
}

/** The names and places that a JSON pointer leads through. */
export function stepsOf(pointer: string): string[] {
  return pointer.split('/').slice(1).map((step) => step.replaceAll('~1', '/').replaceAll('~0', '~'));
}

/** Whether a value of JSON has members by name: lists have none. */
export function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
