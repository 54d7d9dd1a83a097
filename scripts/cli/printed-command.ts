import type { TemporalFlags } from '../../workers/temporal-connection.ts';
import { UNPRINTABLE } from '../../contracts/plain.ts';

/**
 * A command of ours to copy: it reaches the server that this one reached. The flags that were given are repeated, and
 * what Temporal's own flags stood for goes before it as variables; an API key is not repeated.
 */
export function ourCommand(options: TemporalFlags, ...words: string[]): string {
  return [...variablesOf(options), 'runbook', ...words.map((word) => (/^--[a-z-]+$/.test(word) ? word : quote(word))), ...connectionFlags(options)].join(' ');
}

/** A signal to a run as a command of Temporal's own CLI, to copy. */
export function signalCommand(options: TemporalFlags, workflowId: string, signal: string, input: object): string {
  return [...variablesOf(options), 'temporal workflow signal --workflow-id', quote(workflowId), '--name', signal, '--input', quote(JSON.stringify(input)), ...connectionFlags(options)].join(' ');
}

/** Certificates and keys that were given themselves are not repeated; the names of their files are. */
function variablesOf({ environment = {} }: TemporalFlags): string[] {
  return Object.entries(environment).filter(([name]) => !name.endsWith('_DATA')).map(([name, value]) => `${name}=${quote(value)}`);
}

function connectionFlags({ address, namespace, profile, tls }: TemporalFlags): string[] {
  const named = Object.entries({ address, namespace, profile }).flatMap(([name, value]) => (value === undefined ? [] : [`--${name}`, quote(value)]));
  return tls === true ? [...named, '--tls'] : named;
}

/** A workflow id may hold anything: as one word of a shell, and as one line of a terminal. */
export function quote(text: string): string {
  if (/^[\w./:@%+=-]+$/.test(text) && !text.startsWith('-')) return text;
  const escape = (character: string) => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`;
  // Spelled as bash and zsh read it: what cannot be seen cannot be copied either.
  if (text.search(UNPRINTABLE) !== -1) return `$'${text.replaceAll(/['\\]/g, '\\$&').replaceAll(UNPRINTABLE, escape)}'`;
  return `'${text.replaceAll("'", `'\\''`)}'`;
}
