import { ApplicationFailure } from '@temporalio/common';
import type { Configuration } from '../contracts/configuration.ts';
import { archiveProvider } from './archive-provider/archive-provider.ts';
import type { ProviderOf } from './dr-test/provider.ts';

/** The provider of each database, by `provider.kind`. A new backup tool is one more line here. */
const PROVIDERS = { archive: archiveProvider };

export function createProviders(configuration: Configuration): ProviderOf {
  return (database) => {
    const settings = configuration.databases[database];
    if (!settings) throw ApplicationFailure.nonRetryable(`there is no database "${database}" in the configuration`, 'NOT_FOUND');
    return PROVIDERS[settings.provider.kind]({ settings, configuration });
  };
}
