import { ApplicationFailure } from '@temporalio/common';
import type { Configuration } from '../contracts/configuration.ts';
import { archiveProvider } from './archive-provider/archive-provider.ts';
import type { ProviderOf } from './dr-test/provider.ts';
import { rdsProvider, type EarlierRestores } from './rds-provider/rds-provider.ts';

/** The provider of each database, by `provider.kind`. A new backup tool is one more case here. */
export function createProviders(configuration: Configuration, earlierRestores: EarlierRestores): ProviderOf {
  return (database) => {
    const settings = configuration.databases[database];
    if (!settings) throw ApplicationFailure.nonRetryable(`there is no database "${database}" in the configuration`, 'NOT_FOUND');
    const { provider } = settings;
    switch (provider.kind) {
      case 'archive': return archiveProvider({ settings, configuration });
      case 'rds': return rdsProvider({ settings, provider, database, earlierRestores, network: configuration.drills.network });
    }
  };
}
