import { quote } from '../../contracts/quote.ts';

/** A profile that is not there is one that says nothing; an empty file is a mistake to the SDK's reader (1.24: it looks for `default` in nothing). */
export const NO_PROFILE = '/nonexistent/temporal.toml';

/** Where programs are, rather than which server is meant. */
const PROGRAMS = new Set(['TEMPORAL_CLI_PATH', 'TEMPORAL_TEST_SERVER_PATH']);

/** The variables by which somebody chooses a Temporal server of theirs, or opens it: address, namespace, profile, key, certificates. */
export function choosingVariables(environment: NodeJS.ProcessEnv): string[] {
  return Object.keys(environment).filter((name) => name.startsWith('TEMPORAL_') && !PROGRAMS.has(name));
}

/** What says where a server is that was started here. There is no profile: a namespace, a key or TLS of a user's own server would lead elsewhere, or be refused. */
export function ownServerVariables(address: string): Record<'TEMPORAL_ADDRESS' | 'TEMPORAL_NAMESPACE' | 'TEMPORAL_CONFIG_FILE', string> {
  return { TEMPORAL_ADDRESS: address, TEMPORAL_NAMESPACE: 'default', TEMPORAL_CONFIG_FILE: NO_PROFILE };
}

/** The environment of a process that uses a server which was started here, and nothing that its user's own profile says. */
export function ownServerEnvironment(address: string, environment: NodeJS.ProcessEnv = process.env): NodeJS.ProcessEnv {
  const chosen = new Set(choosingVariables(environment));
  return { ...Object.fromEntries(Object.entries(environment).filter(([name]) => !chosen.has(name))), ...ownServerVariables(address) };
}

/** What a shell must be told before what is typed in it reaches that server, and nothing that its user's own variables choose; `more` is exported along. */
export function shellLines(address: string, { more = {}, environment = process.env }: { more?: Record<string, string>; environment?: NodeJS.ProcessEnv } = {}): string[] {
  const variables = ownServerVariables(address);
  const others = choosingVariables(environment).filter((name) => !(name in variables));
  const exported = Object.entries({ ...more, ...variables }).map(([name, value]) => `${name}=${quote(value)}`);
  return [...(others.length > 0 ? [`unset ${others.join(' ')}`] : []), `export ${exported.join(' ')}`];
}
