import { plain } from './plain.ts';
import { shortened } from './whole-characters.ts';

/** What a gate, a message and a terminal have room for; the rest is in the query `plan`. */
const MOST = 14;
const LONGEST = 160;
/** A hostile or mistaken plan must not overflow the stack. */
const DEEPEST = 6;

/** What decisions at a gate are about, as the query `plan` answers it. */
export interface PlanView { plan: unknown; hash: string | null; corrections: readonly unknown[]; input?: unknown; codeVersion?: string }

/**
 * What a gate's hash stands for, whatever the form of the plan, in one line each for people: `minutes: 600`. What lies deeper
 * comes later, with the names that lead to it. How many more there are is said last.
 */
export function planFacts({ plan, input, codeVersion }: Pick<PlanView, 'plan' | 'input' | 'codeVersion'>): string[] {
  const found: { depth: number; text: string }[] = [];
  collect(plan, [], found);
  if (input !== undefined && input !== null) collect(input, ['input'], found);
  if (codeVersion !== undefined) found.push({ depth: 1, text: `code version: ${codeVersion}` });
  const facts = found.toSorted((a, b) => a.depth - b.depth).map(({ text }) => shortened(plain(text), LONGEST));
  return facts.length <= MOST ? facts : [...facts.slice(0, MOST), `and ${facts.length - MOST} more: temporal workflow query --type plan`];
}

function collect(value: unknown, path: readonly string[], found: { depth: number; text: string }[]): void {
  const say = (text: string) => found.push({ depth: path.length, text: path.length === 0 ? text : `${path.join('.')}: ${text}` });
  if (value === undefined || (value === null && path.length === 0)) return;
  if (value === null) say('none');
  else if (typeof value !== 'object') say(String(value as string | number | boolean));
  else if (Array.isArray(value)) say(listed(value));
  else if (path.length >= DEEPEST) say('…');
  else for (const [name, member] of Object.entries(value)) collect(member, [...path, name], found);
}

function listed(values: readonly unknown[]): string {
  if (values.length === 0) return 'none';
  return values.some((value) => typeof value === 'object') ? `${values.length} of them` : values.map(String).join(', ');
}
