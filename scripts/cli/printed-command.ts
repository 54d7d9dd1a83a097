import { quote } from '../../contracts/quote.ts';
import type { GivenFlags } from './named-environment.ts';
import { AS_VARIABLE } from './temporal-flags.ts';

/**
 * A command of ours to copy: it reaches the server that this one reached. The connection flags that were given are
 * repeated; API keys, headers, and whoever this one was sent by (`--identity`) are not.
 */
export function ourCommand(options: GivenFlags, ...words: string[]): string {
  return ['runbook', ...words.map((word) => (/^--[a-z-]+$/.test(word) ? word : quote(word))), ...connectionFlags(options)].join(' ');
}

/** A signal to a run as a command of Temporal's own CLI, to copy. */
export function signalCommand(options: GivenFlags, workflowId: string, signal: string, input: object): string {
  return ['temporal workflow signal --workflow-id', quote(workflowId), '--name', signal, '--input', quote(JSON.stringify(input)), ...connectionFlags(options)].join(' ');
}

function connectionFlags({ address, namespace, profile, tls, environment, env, envFile, withoutVariables, withoutFile }: GivenFlags): string[] {
  const named = Object.entries({ address, namespace, profile, env, 'env-file': envFile, ...filesOf(environment) }).flatMap(([name, value]) => (value === undefined ? [] : [`--${name}`, quote(value)]));
  const switches = Object.entries({ 'disable-config-env': withoutVariables, 'disable-config-file': withoutFile }).flatMap(([name, isOn]) => (isOn ? [`--${name}`] : []));
  return [...named, ...(tls === undefined ? [] : [tls ? '--tls' : '--tls=false']), ...switches];
}

/** Certificates and keys that were given themselves are not repeated; the names of their files are. */
function filesOf(environment: Record<string, string> = {}): Record<string, string | undefined> {
  return Object.fromEntries(Object.entries(AS_VARIABLE).filter(([name]) => !name.endsWith('-data')).map(([name, variable]) => [name, environment[variable]]));
}
