/**
 * How much may be digested to look for what does not stand where it is expected, for all lists of a file together. A
 * quarter of a million takes two seconds; 1,000 checks, of which 50 are gone, take most of it.
 */
const BUDGET = 250_000;

/** What is left for looking around, and whether something was therefore not looked for everywhere. It is not refilled: evidence of another's making must not cost more than time that grows with its size. */
export interface Patience { left: number; isSpent: boolean }
/** For one file; whoever verifies it hands the same one to all of its lists. */
export function fullPatience(): Patience {
  return { left: BUDGET, isSpent: false };
}

/** So much of what is left may be spent on one entry: one whose element is gone from a long list leaves something to those after it. */
const SHARE = 1 / 8;

/** A list whose elements are to be found for the entries that were made of them. */
export interface Sought {
  entries: number;
  elements: number;
  /** Whether an element is the one that an entry is for. */
  isSame: (entry: number, element: number) => boolean;
  /** An element as canonical JSON, which only equal ones share. */
  textOf: (element: number) => string;
  patience: Patience;
}

/** A range of entries and one of elements, from `head` on: `wide` and `high` of them. */
export interface Middle { head: number; wide: number; high: number }

/** Elements that are equal, by their places in the middle, rising; `weight`: what comparing one of them costs. */
export interface Group { elements: number[]; weight: number }

/** What each entry of the middle is for, and what each element belongs to. */
export interface Pairing { ofEntry: (Group | undefined)[]; ofElement: Group[] }

/**
 * Finds for each entry of the middle the elements that it was made of. The salts of each entry are its own, so an element
 * has another digest for each: those near where the last one was found are tried first, equal ones once, and all of them
 * for an entry whose element is gone. What stands where it is expected is always tried; all else takes patience.
 */
export function pair({ isSame, textOf, patience }: Sought, { head, wide, high }: Middle): Pairing {
  const groups = new Map<string, Group>();
  const ofElement = Array.from({ length: high }, (_, element) => {
    const text = textOf(head + element);
    const group = groups.get(text) ?? { elements: [], weight: weightOf(text) };
    groups.set(text, group);
    group.elements.push(element);
    return group;
  });
  let shift = 0;
  const timesExpected = new Uint8Array(high);
  const find = (entry: number): Group | undefined => {
    const expected = entry + shift;
    const tried = new Set<Group>();
    const here = ofElement[expected];
    if (here && (timesExpected[expected] ?? 0) < MOST_EXPECTED) {
      timesExpected[expected] = (timesExpected[expected] ?? 0) + 1;
      if (isSame(head + entry, head + expected)) return here;
      tried.add(here);
    }
    let share = patience.left * SHARE;
    for (const element of outwards(expected, high)) {
      const group = ofElement[element] as Group;
      const isNew = !tried.has(group);
      const cost = isNew ? group.weight : PASSING;
      if (cost > share) {
        patience.isSpent = true;
        return undefined;
      }
      share -= cost;
      patience.left -= cost;
      if (!isNew) continue;
      tried.add(group);
      if (!isSame(head + entry, head + element)) continue;
      shift = element - entry;
      return group;
    }
    return undefined;
  };
  return { ofEntry: Array.from({ length: wide }, (_, entry) => find(entry)), ofElement };
}

/** So often one element is tried for entries that it may be expected for, as expectations change. */
const MOST_EXPECTED = 3;

/** What an element costs that is passed over. */
const PASSING = 0.01;

/** About the number of fields, each of which is hashed with its salt; long texts take longer. */
function weightOf(text: string): number {
  return text.split(/[,[{]/).length + text.length / 256;
}

/** All places of a list of this length, the nearest to one first. */
function* outwards(near: number, length: number): Generator<number> {
  const from = Math.min(Math.max(near, 0), length - 1);
  for (let distance = 0; distance < length; distance += 1) {
    if (from + distance < length) yield from + distance;
    if (distance > 0 && distance <= from) yield from - distance;
  }
}
