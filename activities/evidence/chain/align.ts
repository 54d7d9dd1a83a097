import { longestCommon } from './longest.ts';
import { pair, type Sought } from './pairing.ts';

/** What became of the elements of a list. Indices are those of the entries and of the elements that are there now. */
export interface Alignment {
  altered: { entry: number; element: number }[];
  dropped: number[];
  added: number[];
  moved: { entry: number; element: number }[];
}

/**
 * Aligns the entries of a list with the elements that are there now, so that one that was dropped does not make all after
 * it look altered. Of lists in which so much differs that patience comes to its end, what was moved may be called altered, or
 * dropped and added: {@link Sought.patience} tells.
 */
export function align(sought: Sought): Alignment {
  const { entries, elements, isSame } = sought;
  let head = 0;
  while (head < entries && head < elements && isSame(head, head)) head += 1;
  let tail = 0;
  while (tail < entries - head && tail < elements - head && isSame(entries - 1 - tail, elements - 1 - tail)) tail += 1;
  const [wide, high] = [entries - head - tail, elements - head - tail];
  const pairing = pair(sought, { head, wide, high });
  const stayed = longestCommon(pairing);
  const result: Alignment = { altered: [], dropped: [], added: [], moved: [] };
  // What was moved is neither dropped nor added, and is told first.
  const taken = new Set(stayed.values());
  const movedEntries = new Set<number>();
  // Of each group the first of its elements that is not taken, which comes later and later.
  const nextOf = new Map<object, number>();
  for (const [entry, group] of pairing.ofEntry.entries()) {
    if (group === undefined || stayed.has(entry)) continue;
    let next = nextOf.get(group) ?? 0;
    while (next < group.elements.length && taken.has(group.elements[next] as number)) next += 1;
    nextOf.set(group, next);
    const element = group.elements[next];
    if (element === undefined) continue;
    movedEntries.add(entry);
    taken.add(element);
    result.moved.push({ entry: head + entry, element: head + element });
  }
  let [entry, element] = [0, 0];
  // Between two that stayed, what is on both sides was altered.
  const pairUp = (untilEntry: number, untilElement: number) => {
    for (;;) {
      while (entry < untilEntry && movedEntries.has(entry)) entry += 1;
      while (element < untilElement && taken.has(element)) element += 1;
      const [isDropped, isAdded] = [entry < untilEntry, element < untilElement];
      if (isDropped && isAdded) result.altered.push({ entry: head + entry, element: head + element });
      else if (isDropped) result.dropped.push(head + entry);
      else if (isAdded) result.added.push(head + element);
      else return;
      if (isDropped) entry += 1;
      if (isAdded) element += 1;
    }
  };
  for (const [stayedEntry, stayedElement] of [...stayed].sort(([a], [b]) => a - b)) {
    pairUp(stayedEntry, stayedElement);
    [entry, element] = [stayedEntry + 1, stayedElement + 1];
  }
  pairUp(wide, high);
  return result;
}
