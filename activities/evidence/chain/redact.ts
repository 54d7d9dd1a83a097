import { REDACTED, type Salts, type Seal } from '../../../contracts/chain.ts';
import { digestOf, fieldsOf, isObject, saltOf, stepsOf } from './digest.ts';
import { entryName } from './build-chain.ts';
import { partsOf, type Part } from './parts.ts';

/**
 * Evidence without the values at these JSON pointers: each is replaced by its digest, and the salts that would let somebody
 * guess it go. The chain stays as it is, and verifies. Throws an `Error` with a sentence for a pointer that is not to a
 * value within one entry.
 */
export function redact(evidence: Record<string, unknown>, { salts, entries: chain }: Pick<Seal, 'salts' | 'entries'>, pointers: readonly string[]): { evidence: Record<string, unknown>; salts: Salts } {
  const copy = structuredClone(evidence);
  // As they stand in the chain: without its time, which may be gone already, a part would stand elsewhere.
  const entries = new Map(chain.map(({ kind, of }, index) => [`${kind} ${of}`, entryName(index)]));
  const entryOf = ({ kind, of }: Part) => entries.get(`${kind} ${of}`) ?? '';
  // What is where does not change with what is taken out.
  const parts = partsOf(evidence);
  for (const pointer of withPlanHashes(pointers, evidence)) {
    const part = parts.find((one) => fieldWithin(one, pointer) !== undefined);
    const field = part && fieldWithin(part, pointer);
    if (!part || field === undefined) throw new Error(`${pointer} is not within one entry of the evidence; name a value in it, such as /plan, /gates/0/decisions/0/comment or /steps/2/summary`);
    replace(copy, stepsOf(pointer), (value) => ({ [REDACTED]: digestOf(value, salts, entryOf(part), field) }));
  }
  const fields: Record<string, string> = {};
  for (const part of partsOf(copy)) {
    const entry = entryOf(part);
    for (const field of fieldsOf(part.value)) {
      const salt = saltOf(salts, entry, field);
      if (salt !== undefined) fields[`${entry}#${field}`] = salt;
    }
  }
  return { evidence: copy, salts: { fields } };
}

/** What the hash of a plan covers, beside the plan: the input, in which requester and reason are, as corrections of it are; runbook and target. */
const HASHED = /^\/((plan|requester|reason|startedBy|target|runbook)(\/|$)|operations\/\d+(\/detail|$))/;

/** The hash of a plan is no salted one: beside the rest of what it covers it would let somebody guess what was taken out of that. */
function withPlanHashes(pointers: readonly string[], evidence: Record<string, unknown>): string[] {
  if (!pointers.some((pointer) => HASHED.test(pointer))) return [...pointers];
  const gates = Array.isArray(evidence['gates']) ? evidence['gates'] as unknown[] : [];
  return [...new Set([...pointers, '/chain/planHash', ...gates.map((_, index) => `/gates/${index}/planHash`)])];
}

/** Where a pointer leads within a part; undefined when it does not lead into it. */
function fieldWithin({ of, value, kind }: Part, pointer: string): string | undefined {
  if (kind === 'header' || kind === 'close') {
    const [, member = ''] = pointer.split('/');
    if (kind === 'header' && pointer === '/chain/planHash') return pointer;
    return isObject(value) && Object.hasOwn(value, member) && member !== 'chain' && member !== 'method' ? pointer : undefined;
  }
  if (pointer !== of && !pointer.startsWith(`${of}/`)) return undefined;
  const field = pointer.slice(of.length);
  // Of a gate only what is in it: its decisions have entries of their own, and with it they would be gone.
  const isOfDecisions = field === '' || field === '/decisions' || field.startsWith('/decisions/');
  return kind === 'gate' && isOfDecisions ? undefined : field;
}

function replace(target: Record<string, unknown>, [first = '', ...rest]: readonly string[], make: (value: unknown) => unknown): void {
  if (typeof target !== 'object' || target === null) throw new Error('a pointer leads into what holds nothing');
  if (!Object.hasOwn(target, first)) throw new Error(`there is no ${first} in the evidence to redact`);
  if (rest.length === 0) target[first] = make(target[first]);
  else replace(target[first] as Record<string, unknown>, rest, make);
}
