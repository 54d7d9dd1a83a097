/** What became of the elements of a list. Indices are those of the entries and of the elements that are there now. */
export interface Alignment {
  altered: { entry: number; element: number }[];
  dropped: number[];
  added: number[];
  moved: { entry: number; element: number }[];
}

/**
 * Aligns the entries of a list with the elements that are there now, so that one that was dropped does not make all after
 * it look altered. `isSame`: whether an element is the one that an entry is for.
 */
export function align(entries: number, elements: number, isSame: (entry: number, element: number) => boolean): Alignment {
  let head = 0;
  while (head < entries && head < elements && isSame(head, head)) head += 1;
  let tail = 0;
  while (tail < entries - head && tail < elements - head && isSame(entries - 1 - tail, elements - 1 - tail)) tail += 1;
  const [wide, high] = [entries - head - tail, elements - head - tail];
  const same = Array.from({ length: wide }, (_, entry) => Array.from({ length: high }, (__, element) => isSame(head + entry, head + element)));
  const result: Alignment = { altered: [], dropped: [], added: [], moved: [] };
  const [looseEntries, looseElements]: [number[], number[]] = [[], []];
  const pairUp = () => {
    // Between two that stayed, what is on both sides was altered.
    while (looseEntries.length > 0 && looseElements.length > 0) result.altered.push({ entry: looseEntries.shift() as number, element: looseElements.shift() as number });
    result.dropped.push(...looseEntries.splice(0));
    result.added.push(...looseElements.splice(0));
  };
  // What was moved is neither dropped nor added, and is told first.
  const stayed = longestCommon(same);
  const movedEntries = new Set<number>();
  const movedElements = new Set<number>();
  for (let entry = 0; entry < wide; entry += 1) {
    if (stayed.has(entry)) continue;
    const element = (same[entry] ?? []).findIndex((is, index) => is && ![...stayed.values()].includes(index) && !movedElements.has(index));
    if (element === -1) continue;
    movedEntries.add(entry);
    movedElements.add(element);
    result.moved.push({ entry: head + entry, element: head + element });
  }
  let next = 0;
  const takeElements = (until: number) => {
    for (; next < until; next += 1) if (!movedElements.has(next)) looseElements.push(head + next);
  };
  for (let entry = 0; entry < wide; entry += 1) {
    const element = stayed.get(entry);
    if (element === undefined) {
      if (!movedEntries.has(entry)) looseEntries.push(head + entry);
      continue;
    }
    takeElements(element);
    pairUp();
    next = element + 1;
  }
  takeElements(high);
  pairUp();
  return result;
}

/** A longest common subsequence of entries and elements. */
function longestCommon(same: boolean[][]): Map<number, number> {
  const wide = same.length;
  const high = same[0]?.length ?? 0;
  const lengths = Array.from({ length: wide + 1 }, () => Array.from({ length: high + 1 }, () => 0));
  const at = (entry: number, element: number) => lengths[entry]?.[element] ?? 0;
  for (let entry = wide - 1; entry >= 0; entry -= 1) {
    for (let element = high - 1; element >= 0; element -= 1) {
      (lengths[entry] as number[])[element] = same[entry]?.[element] ? 1 + at(entry + 1, element + 1) : Math.max(at(entry + 1, element), at(entry, element + 1));
    }
  }
  const pairs = new Map<number, number>();
  for (let entry = 0, element = 0; entry < wide && element < high;) {
    if (same[entry]?.[element]) {
      pairs.set(entry, element);
      entry += 1;
      element += 1;
    } else if (at(entry + 1, element) >= at(entry, element + 1)) entry += 1;
    else element += 1;
  }
  return pairs;
}
