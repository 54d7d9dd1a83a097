import { UNKNOWN_NUMBER } from '../../contracts/quantities.ts';

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

/** A number, with so many digits after the point where they are asked for. */
export function numeral(value: number, digits?: number): string {
  if (Number.isNaN(value)) return UNKNOWN_NUMBER;
  return digits === undefined ? String(value) : value.toFixed(digits);
}

/** Seconds between two instants of evidence. */
export function secondsBetween(from: string, to: string): number {
  return (Date.parse(to) - Date.parse(from)) / 1_000;
}

/** `soundness` words of the schema as people read them. */
export function readable(word: string): string {
  return word.replaceAll(/([a-z])([A-Z])/g, '$1 $2').toLowerCase();
}
