import { z } from 'zod';
import { evidenceSchema, type Evidence } from '../../contracts/evidence.ts';
import { isObject, redactedDigest } from './chain/digest.ts';

/** What stands in a report for a text, an instant or a word that was redacted. */
const REDACTED_MARK = '[redacted]';

/**
 * Evidence for people, where values were redacted: each is a mark in the form that its place has, so that a report can be made.
 * What is yes or no is no then, since a report must not claim what is not known; numbers are no number. Null for what is no
 * evidence, with or without them. It proves nothing: for what is redacted, and for all else, ask `verifyChain`.
 */
export function viewOf(file: unknown): { evidence: Evidence; problem: null } | { evidence: null; problem: z.core.$ZodIssue | undefined } {
  const whole = evidenceSchema.safeParse(file);
  if (whole.success) return { evidence: whole.data, problem: null };
  const view = marked(file, evidenceSchema);
  const marks = evidenceSchema.safeParse(view);
  const problem = marks.error?.issues.find(({ path }) => !isMark(path.reduce<unknown>((holder, step) => (isObject(holder) || Array.isArray(holder) ? (holder as Record<PropertyKey, unknown>)[step] : undefined), view)));
  return problem === undefined ? { evidence: view as Evidence, problem: null } : { evidence: null, problem };
}

function isMark(value: unknown): boolean {
  return value === REDACTED_MARK || Number.isNaN(value);
}

/** What is there, with marks for what was redacted, and what older code did not write yet. */
function marked(value: unknown, schema: z.core.$ZodType | undefined): unknown {
  if (redactedDigest(value) !== undefined) return blank(schema);
  if (value === undefined) return schema instanceof z.ZodDefault ? schema.parse(undefined) : undefined;
  const inner = within(schema);
  if (Array.isArray(value)) return value.map((item) => marked(item, inner instanceof z.ZodArray ? inner.element : undefined));
  if (!isObject(value)) return value;
  const shape: Record<string, z.core.$ZodType> = inner instanceof z.ZodObject ? inner.shape : {};
  return Object.fromEntries([...new Set([...Object.keys(value), ...Object.keys(shape)])].map((name) => [name, marked(Object.hasOwn(value, name) ? value[name] : undefined, shape[name])]));
}

/** A whole value of marks, in the form that its place asks for. */
function blank(schema: z.core.$ZodType | undefined): unknown {
  const inner = within(schema);
  if (inner instanceof z.ZodObject) return Object.fromEntries(Object.entries(inner.shape).map(([name, member]) => [name, blank(member as z.core.$ZodType)]));
  if (inner instanceof z.ZodArray) return inner.element instanceof z.ZodString ? [REDACTED_MARK] : [];
  if (inner instanceof z.ZodBoolean) return false;
  return inner instanceof z.ZodNumber ? Number.NaN : REDACTED_MARK;
}

/** The schema of a value that is there, where it may also be null or left out. */
export function within(schema: z.core.$ZodType | undefined): z.core.$ZodType | undefined {
  return schema instanceof z.ZodNullable || schema instanceof z.ZodDefault ? within(schema.unwrap()) : schema;
}
