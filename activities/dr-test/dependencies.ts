import type { Configuration } from '../../contracts/configuration.ts';
import type { ResolvePassword } from '../postgres/source.ts';

/** What activities on databases need. */
export interface DatabaseDependencies {
  configuration: Configuration;
  resolvePassword: ResolvePassword;
  /** Name of this host in task queues. */
  host?: string;
}
