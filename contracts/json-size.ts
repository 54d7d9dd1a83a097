/** More characters of JSON than any input of ours has: a server takes 2 MB, and what is said of an input, or made of it, is larger. */
export const LARGEST_INPUT = 256 * 1024;

/** Whether a value has more characters as JSON; one that has none, as `undefined`, has not. A character has three bytes at the most. */
export function isLargerThan(value: unknown, characters: number): boolean {
  // The types of JSON.stringify do not say so.
  return ((JSON.stringify(value) as string | undefined)?.length ?? 0) > characters;
}
