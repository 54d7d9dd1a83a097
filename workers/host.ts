import { hostname } from 'node:os';
import { HOST_NAME } from '../contracts/search-attributes.ts';
import { environment } from './config-environment.ts';
import { ConfigurationError } from './configuration-error.ts';

/**
 * Name of this host in task queues and identities: RUNBOOKS_HOST, else what the host calls itself. Whatever runs on this
 * host's files must use the same name, so a host that is renamed or that is a container wants it set.
 *
 * @throws ConfigurationError when RUNBOOKS_HOST is no name
 */
export function hostName(): string {
  const name = environment['RUNBOOKS_HOST'] || hostname();
  if (!HOST_NAME.test(name)) throw new ConfigurationError(`RUNBOOKS_HOST is "${name}"; use letters, digits, dots, _ and -, as in a host's name`);
  return name;
}
