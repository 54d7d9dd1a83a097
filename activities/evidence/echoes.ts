import { z } from 'zod';
import { shortHash } from '../../contracts/deciding.ts';
import { evidenceSchema } from '../../contracts/evidence.ts';
import { isObject, leavesOf, redactedFields, stepsOf } from './chain/digest.ts';
import { within } from './redacted-view.ts';

/** What was redacted, and the fields in which text of it still stands, as JSON pointers. */
export interface Echo { of: string; standsIn: string[] }

/**
 * Where text of what was redacted still stands, word for word, or the beginning of a plan's hash as people are shown it: a
 * comment is in the failure of a run that it ended, a reason in the summary of the step that was skipped. What is not text,
 * the words of the schema and instants are not looked for, and what is shorter than four characters only as a whole field.
 * Also the other way round: a comment that stands in a message which was redacted.
 */
export function echoesOf(before: Record<string, unknown>, redacted: Record<string, unknown>): Echo[] {
  const left = leavesOf({ ...redacted, chain: isObject(redacted['chain']) ? { ...redacted['chain'], seal: null } : null });
  const texts = left.flatMap(({ pointer, value }) => (typeof value === 'string' ? [{ pointer, text: value }] : []));
  // Of what a run is about: whoever wants that hidden redacts it.
  const named = [redacted['target'], redacted['runbook']];
  return redactedFields(redacted).map((of) => {
    // Of what had been redacted before, nobody knows the text.
    const sought = new Set(leavesOf(valueAt(before, of)).flatMap(({ value }) => (typeof value === 'string' ? [value.trim()] : [])).filter((text) => isTelling(text) && !named.includes(text)).map((text) => (of.endsWith('/planHash') ? shortHash(text) : text)));
    const asTheyStand = [...sought].map((text) => ({ text, json: inJson(text) }));
    const isEcho = (field: string) => asTheyStand.some(({ text, json }) => (text.length < SHORTEST ? field.trim() === text : field.includes(text) || field.includes(json)));
    const isQuoted = ({ pointer, text }: { pointer: string; text: string }) => SAID.test(pointer) && text.trim().length >= QUOTED && [...sought].some((one) => one.includes(text.trim()) || one.includes(inJson(text.trim())));
    return { of, standsIn: texts.filter((field) => isEcho(field.text) || isQuoted(field)).map(({ pointer }) => pointer) };
  }).filter(({ standsIn }) => standsIn.length > 0);
}

/** What is shorter stands in other words by accident. */
const SHORTEST = 4;

/** Fields of what people or steps said, which another text may quote: the failure of a run quotes the comment that ended it. */
const SAID = /\/(comment|reason|detail|summary|message|notVerified\/\d+|refused\/\d+)$/;
/** What is shorter stands in sentences by accident. */
const QUOTED = 12;

/** As it stands in a corrected input, which evidence holds as JSON. */
function inJson(text: string): string {
  return JSON.stringify(text).slice(1, -1);
}

/** What everybody can read in the schema, and when something was, tells nothing of what was redacted. */
const WORDS = new Set(wordsOf(evidenceSchema));

function isTelling(text: string): boolean {
  return text !== '' && !WORDS.has(text) && !/^\d{4}-\d\d-\d\dT[\d:.]+Z$/.test(text);
}

function wordsOf(schema: z.core.$ZodType | undefined): string[] {
  const inner = within(schema);
  if (inner instanceof z.ZodEnum) return Object.values(inner.enum).map(String);
  if (inner instanceof z.ZodArray) return wordsOf(inner.element);
  return inner instanceof z.ZodObject ? Object.values(inner.shape).flatMap((member) => wordsOf(member as z.core.$ZodType)) : [];
}

function valueAt(evidence: unknown, pointer: string): unknown {
  return stepsOf(pointer).reduce<unknown>((holder, step) => (typeof holder === 'object' && holder !== null ? (holder as Record<string, unknown>)[step] : undefined), evidence);
}
