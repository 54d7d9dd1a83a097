/** Text that is markup already. Everything else that goes into {@link html} is escaped. */
export class Markup {
  readonly text: string;
  constructor(text: string) { this.text = text; }
}

type Insertable = Markup | string | number | null | undefined | false | readonly Insertable[];

/** Markup with values put in. Values are escaped unless they are {@link Markup}, so that forgetting is harmless. */
export function html(parts: TemplateStringsArray, ...values: Insertable[]): Markup {
  return new Markup(parts.reduce((text, part, index) => text + insert(values[index - 1]) + part));
}

function insert(value: Insertable): string {
  if (value === null || value === undefined || value === false) return '';
  if (value instanceof Markup) return value.text;
  if (typeof value === 'object') return value.map(insert).join('');
  return escapeHtml(String(value));
}

const ENTITIES: Record<string, string> = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;', "'": '&#39;' };

/** Escapes for element content and quoted attributes. Control characters, which HTML does not allow, become U+FFFD. */
export function escapeHtml(text: string): string {
  // oxlint-disable-next-line no-control-regex -- these are the characters meant
  return text.replaceAll(/[\u0000-\u0008\u000B\u000C\u000E-\u001F\u007F]/g, '\uFFFD').replaceAll(/[&<>"']/g, (character) => ENTITIES[character] ?? '');
}

const TONES: Record<string, 'ok' | 'bad' | 'unsure'> = {
  passed: 'ok', done: 'ok', approved: 'ok', notNeeded: 'ok', succeeded: 'ok', sound: 'ok', met: 'ok', failed: 'bad', rejected: 'bad', unsound: 'bad', missed: 'bad',
};

/** An outcome of the schema in the colour of what it means. */
export function word(outcome: string): Markup {
  return html`<span class="word ${TONES[outcome] ?? 'unsure'}">${readable(outcome)}</span>`;
}

/** What stands for a number that was redacted. */
const UNKNOWN_NUMBER = 'not known';

/** A number, with so many digits after the point where they are asked for. */
export function numeral(value: number, digits?: number): string {
  if (Number.isNaN(value)) return UNKNOWN_NUMBER;
  return digits === undefined ? String(value) : value.toFixed(digits);
}

/** Seconds as people read them: `0.42 s`, `12.3 s`, `4 min 07 s`, `2 h 05 min`, `3 d 4 h`. */
export function formatSeconds(seconds: number): string {
  if (Number.isNaN(seconds)) return UNKNOWN_NUMBER;
  if (seconds < 0) return `-${formatSeconds(-seconds)}`;
  if (seconds < 9.995) return `${seconds.toFixed(2)} s`;
  if (seconds < 59.95) return `${seconds.toFixed(1)} s`;
  const whole = Math.round(seconds);
  const two = (value: number) => String(value).padStart(2, '0');
  if (whole < 3_600) return `${Math.floor(whole / 60)} min ${two(whole % 60)} s`;
  if (whole < 86_400) return `${Math.floor(whole / 3_600)} h ${two(Math.floor((whole % 3_600) / 60))} min`;
  return `${Math.floor(whole / 86_400)} d ${Math.floor((whole % 86_400) / 3_600)} h`;
}

const BYTE_UNITS = ['B', 'kB', 'MB', 'GB', 'TB', 'PB'] as const;

/** Bytes as people read them, in powers of 1000: `812 B`, `1.54 GB`. */
export function formatBytes(bytes: number): string {
  let value = bytes;
  let unit = 0;
  while (Math.abs(value) >= 999.5 && unit < BYTE_UNITS.length - 1) {
    value /= 1_000;
    unit += 1;
  }
  return `${unit === 0 || value >= 99.95 ? value.toFixed(0) : value >= 9.995 ? value.toFixed(1) : value.toFixed(2)} ${BYTE_UNITS[unit]}`;
}

/** Seconds between two instants of evidence. */
export function secondsBetween(from: string, to: string): number {
  return (Date.parse(to) - Date.parse(from)) / 1_000;
}

/** `soundness` words of the schema as people read them. */
export function readable(word: string): string {
  return word.replaceAll(/([a-z])([A-Z])/g, '$1 $2').toLowerCase();
}

const RTA_WORDS: Readonly<Record<string, string>> = { withoutWait: 'without waiting for people', withoutComparison: 'without waiting or comparison' };

/** What `objectives.rtaIs` leaves out of a recovery time, in words; null where it is all of it, or not known. */
export function rtaWords(rtaIs: unknown): string | null {
  return typeof rtaIs === 'string' && Object.hasOwn(RTA_WORDS, rtaIs) ? RTA_WORDS[rtaIs] ?? null : null;
}
