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
 * comes later, with the names that lead to it; the code version and the input come last, and are not left out for a long plan.
 */
export function planFacts({ plan, input, codeVersion }: Pick<PlanView, 'plan' | 'input' | 'codeVersion'>): string[] {
  const about = [...(codeVersion === undefined ? [] : [`code version: ${codeVersion}`]), ...factsOf(input ?? undefined, ['input'])];
  const facts = factsOf(plan, []);
  const room = MOST - Math.min(about.length, MOST / 2);
  return bounded([...facts.slice(0, room), ...about, ...facts.slice(room)], MOST);
}

/** One line for each thing that is in a value, what lies deeper later. */
export function factsOf(value: unknown, path: readonly string[]): string[] {
  const found: { depth: number; text: string }[] = [];
  collect(value, path, found);
  return found.toSorted((a, b) => a.depth - b.depth).map(({ text }) => shortened(plain(text), LONGEST));
}

/** So many lines; how many more there are is said last. */
export function bounded(lines: readonly string[], most: number): string[] {
  return lines.length <= most ? [...lines] : [...lines.slice(0, most), `and ${lines.length - most} more: temporal workflow query --type plan`];
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
