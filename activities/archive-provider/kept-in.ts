import type { DatabaseSettings } from '../../contracts/configuration.ts';
import { archiveLayout, type ArchiveLayout } from '../archive/layout.ts';

/** Directories of this host in which what is kept of a database lies. */
export function keptIn(provider: DatabaseSettings['provider']): string[] {
  return provider.kind === 'archive' ? [provider.repository, provider.walDirectory] : [provider.repository];
}

/** The same by their parts. A database that RDS keeps has manifests here, and no WAL. */
export function layoutOf(provider: DatabaseSettings['provider']): ArchiveLayout {
  return archiveLayout({ root: provider.repository, ...(provider.kind === 'archive' ? { walDirectory: provider.walDirectory } : {}) });
}
