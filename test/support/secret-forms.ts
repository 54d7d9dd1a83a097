/** Something that must not come out anywhere: a secret, or a value of a row. Bytes where it is no text. */
export interface Planted { name: string; value: string | Buffer }

/** What was found where it must not be. `form`: how it was written there. */
export interface Leak { planted: string; form: string; where: string }

/** A place where people or programs can look. Objects are looked through to their last string, and bytes are read. */
export interface Place { where: string; content: unknown }

/** Every way of writing a value that is looked for, by name. What is in a longer base64 text is found wherever it begins. */
export function formsOf(value: string | Buffer): Map<string, string> {
  const bytes = Buffer.from(value);
  const forms = new Map<string, string>();
  const text = typeof value === 'string' ? value : value.toString('latin1');
  forms.set('raw', text);
  if (typeof value === 'string') {
    forms.set('json', JSON.stringify(value).slice(1, -1));
    forms.set('html', value.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;').replaceAll('"', '&quot;').replaceAll("'", '&#39;'));
    forms.set('percent', encodeURIComponent(value));
  }
  const everyByte = [...bytes].map((byte) => `%${byte.toString(16).padStart(2, '0')}`).join('');
  forms.set('percent, every byte', everyByte);
  forms.set('percent, every byte, capitals', everyByte.toUpperCase());
  forms.set('hex', bytes.toString('hex'));
  forms.set('hex, capitals', bytes.toString('hex').toUpperCase());
  for (const shift of [0, 1, 2]) {
    // Of the first and the last character only some bits are the value's.
    const base64 = Buffer.concat([Buffer.alloc(shift), bytes]).toString('base64').slice(Math.ceil((shift * 8) / 6), Math.floor(((shift + bytes.length) * 8) / 6));
    forms.set(`base64, after ${shift}`, base64);
    forms.set(`base64url, after ${shift}`, base64.replaceAll('+', '-').replaceAll('/', '_'));
  }
  return forms;
}

/** Looks for everything that was planted, in each of its forms, in places. */
export function scannerFor(planted: readonly Planted[]): (places: readonly Place[]) => Leak[] {
  // Forms that say the same are looked for once, under the name of the first.
  const searches = planted.flatMap(({ name, value }) => {
    const forms = new Map([...formsOf(value)].reverse().map(([form, text]) => [text, form]));
    return [...forms].map(([text, form]) => ({ planted: name, form, text }));
  });
  const tooShort = searches.find(({ text }) => text.length < 12);
  if (tooShort) throw new Error(`"${tooShort.planted}" is too short to be looked for: anything might hold it by chance`);
  return (places) => places.flatMap(({ where, content }) => {
    // What separates them is in nothing that was planted.
    const text = [...textsIn(content)].join('\n');
    return searches.filter((search) => text.includes(search.text)).map(({ planted: name, form }) => ({ planted: name, form, where }));
  });
}

/** All text within a value: strings, names of members, bytes as one character each, sources of errors. */
export function textsIn(value: unknown, found = new Set<string>(), seen = new Set<object>()): Set<string> {
  if (typeof value === 'string') found.add(value);
  else if (typeof value === 'number' || typeof value === 'bigint') found.add(String(value));
  else if (value instanceof Uint8Array) found.add(Buffer.from(value).toString('latin1'));
  else if (typeof value === 'object' && value !== null && !seen.has(value)) {
    seen.add(value);
    if (value instanceof Map) for (const [key, one] of value) { textsIn(key, found, seen); textsIn(one, found, seen); }
    else for (const key of Object.getOwnPropertyNames(value)) {
      found.add(key);
      textsIn((value as Record<string, unknown>)[key], found, seen);
    }
  }
  return found;
}

/** What a person reads of it. */
export function sentenceOf({ planted, form, where }: Leak): string {
  return `${where}: ${planted} (${form})`;
}
