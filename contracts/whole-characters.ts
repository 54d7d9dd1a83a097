/**
 * The first characters of a text, `most` at the most, as JavaScript counts them. Never half of one that takes two: half a
 * character is no Unicode, and neither Temporal nor a reader of RFC 8785 takes a text that holds one.
 */
export function firstOf(text: string, most: number): string {
  const first = text.slice(0, most);
  // What was half before stays half: that is `wellFormed`'s.
  return first.length < text.length && isPair(text, most - 1) ? first.slice(0, -1) : first;
}

/** A text that has `most` characters at the most: what is cut ends with an ellipsis. */
export function shortened(text: string, most: number): string {
  return text.length <= most ? text : `${firstOf(text, most - 1)}…`;
}

function isPair(text: string, at: number): boolean {
  return /^[\uD800-\uDBFF][\uDC00-\uDFFF]$/.test(text.slice(at, at + 2));
}

/**
 * A value as JSON holds it, with U+FFFD in the place of each half of a character in its texts and names, as
 * `String.prototype.toWellFormed` does. What is whole already is given back as it is, and not copied.
 */
export function wellFormed<T>(value: T): T {
  return mended(value) as T;
}

function mended(value: unknown): unknown {
  if (typeof value === 'string') return whole(value);
  if (typeof value !== 'object' || value === null) return value;
  if (Array.isArray(value)) {
    const items = value.map(mended);
    return items.some((item, index) => item !== value[index]) ? items : value;
  }
  const members = Object.entries(value).map(([name, member]) => [whole(name), mended(member), name, member as unknown] as const);
  if (members.every(([name, member, formerName, former]) => name === formerName && member === former)) return value;
  const copy: Record<string, unknown> = {};
  const times = new Map<string, number>();
  for (const [name, member] of members) {
    let free = name;
    // Two names may have become one: no member gets lost.
    while (Object.hasOwn(copy, free)) {
      // Counted, and not looked for from the first on: anybody can send thousands that become one.
      const nth = (times.get(name) ?? 1) + 1;
      times.set(name, nth);
      free = `${name}${nth}`;
    }
    // Assigned, `__proto__` would be no member.
    Object.defineProperty(copy, free, { value: member, enumerable: true, writable: true, configurable: true });
  }
  return copy;
}

function whole(text: string): string {
  return text.replaceAll(/\p{Surrogate}/gu, '\uFFFD');
}
