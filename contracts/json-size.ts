/** More characters of JSON than any input of ours has: a server takes 2 MB, and what is said of an input, or made of it, is larger. */
export const LARGEST_INPUT = 256 * 1024;

/** Whether a value has more characters as JSON; one that has none, as `undefined`, has not. A character has three bytes at the most. */
export function isLargerThan(value: unknown, characters: number): boolean {
  // The types of JSON.stringify do not say so.
  return ((JSON.stringify(value) as string | undefined)?.length ?? 0) > characters;
}

/** Nothing of ours is nested so deep. Without a bound, how much of the stack is left would decide, in a replay otherwise than before. */
export const DEEPEST = 200;

/** Whether a value has more members and elements, at all levels together. */
export function hasMoreParts(value: unknown, parts: number): boolean {
  let left = parts;
  const isMore = (one: unknown, level: number): boolean => {
    if (typeof one !== 'object' || one === null) return false;
    const within = Object.values(one);
    left -= within.length;
    return left < 0 || level > DEEPEST || within.some((part) => isMore(part, level + 1));
  };
  return isMore(value, 1);
}

const [QUOTE, BACKSLASH] = [0x22, 0x5C];
const [OPEN_LIST, CLOSE_LIST, OPEN_OBJECT, CLOSE_OBJECT] = [0x5B, 0x5D, 0x7B, 0x7D];

/** Whether JSON is nested deeper, without building what it says. */
export function isDeeper(json: Uint8Array, levels: number): boolean {
  let depth = 0;
  for (let at = 0, isText = false; at < json.length; at += 1) {
    const byte = json[at];
    if (byte === QUOTE) isText = !isText;
    else if (isText && byte === BACKSLASH) at += 1;
    else if (!isText && (byte === OPEN_LIST || byte === OPEN_OBJECT) && ++depth > levels) return true;
    else if (!isText && (byte === CLOSE_LIST || byte === CLOSE_OBJECT)) depth -= 1;
  }
  return false;
}
