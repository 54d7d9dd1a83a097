import { quote } from '../../contracts/quote.ts';
import type { TemporalFlags } from '../../workers/temporal-connection.ts';

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
