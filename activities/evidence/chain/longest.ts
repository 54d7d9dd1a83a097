import type { Pairing } from './pairing.ts';

/** So many pairs of places are compared; a table of them takes 16 MB. */
const LARGEST_TABLE = 4_000_000;

/**
 * Which entries kept their place among the others, and the element that each is for: as many as can be. Of lists too long for a
 * table of all pairs, equal elements count as if they had kept their order among themselves.
 */
export function longestCommon(pairing: Pairing): Map<number, number> {
  const { ofEntry, ofElement } = pairing;
  return (ofEntry.length + 1) * (ofElement.length + 1) <= LARGEST_TABLE ? byTable(pairing) : byRising(pairing);
}

/** Takes time and memory that grow with the product of both lengths. */
function byTable({ ofEntry, ofElement }: Pairing): Map<number, number> {
  const [wide, high] = [ofEntry.length, ofElement.length];
  const isPair = (entry: number, element: number) => ofEntry[entry] !== undefined && ofEntry[entry] === ofElement[element];
  const lengths = new Uint32Array((wide + 1) * (high + 1));
  const at = (entry: number, element: number) => lengths[entry * (high + 1) + element] ?? 0;
  for (let entry = wide - 1; entry >= 0; entry -= 1) {
    for (let element = high - 1; element >= 0; element -= 1) {
      lengths[entry * (high + 1) + element] = isPair(entry, element) ? 1 + at(entry + 1, element + 1) : Math.max(at(entry + 1, element), at(entry, element + 1));
    }
  }
  const pairs = new Map<number, number>();
  for (let entry = 0, element = 0; entry < wide && element < high;) {
    if (isPair(entry, element)) {
      pairs.set(entry, element);
      entry += 1;
      element += 1;
    } else if (at(entry + 1, element) >= at(entry, element + 1)) entry += 1;
    else element += 1;
  }
  return pairs;
}

/** A longest row of rising places (patience sorting), when the n-th entry of equal ones is for the n-th of their elements. */
function byRising({ ofEntry }: Pairing): Map<number, number> {
  const used = new Map<object, number>();
  const places = ofEntry.map((group) => {
    if (!group) return undefined;
    const nth = used.get(group) ?? 0;
    used.set(group, nth + 1);
    return group.elements[nth];
  });
  // Of each length the entry with which a row of it ends lowest, and for each entry the one before it in its row.
  const ends: number[] = [];
  const before = new Map<number, number | undefined>();
  const placeOf = (entry: number | undefined) => places[entry ?? -1] ?? -1;
  for (const [entry, place] of places.entries()) {
    if (place === undefined) continue;
    let [low, high] = [0, ends.length];
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (placeOf(ends[middle]) < place) low = middle + 1;
      else high = middle;
    }
    before.set(entry, ends[low - 1]);
    ends[low] = entry;
  }
  const pairs = new Map<number, number>();
  for (let entry = ends.at(-1); entry !== undefined; entry = before.get(entry)) pairs.set(entry, placeOf(entry));
  return pairs;
}
