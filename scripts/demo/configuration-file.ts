import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { stringify } from 'yaml';
import type { Production } from './production.ts';

/** Further keys of the configuration file, over those that say where things are. */
export interface FurtherSettings {
  root: Record<string, unknown>;
  drills: Record<string, unknown>;
  /** Of the database `shop`. */
  shop: Record<string, unknown>;
}

/** Writes `runbooks.yaml` for a production of ours, with everything below `root`, and makes the repository. */
export async function writeConfigurationFile(root: string, production: Production, further: FurtherSettings): Promise<{ configurationFile: string; repository: string }> {
  const repository = join(root, 'backups');
  await mkdir(repository, { mode: 0o700 });
  const passwordFile = join(root, 'password');
  await writeFile(passwordFile, production.superuser.password, { mode: 0o600 });
  const configurationFile = join(root, 'runbooks.yaml');
  await writeFile(configurationFile, stringify({
    version: 1,
    evidence: { directory: join(root, 'evidence') },
    drills: { directory: join(root, 'drills'), reserve: '200MB', ...further.drills },
    ...further.root,
    databases: {
      shop: {
        connection: { host: '127.0.0.1', port: production.port, database: production.database, user: production.superuser.user, passwordFile },
        provider: { kind: 'archive', repository, walDirectory: production.archiveDirectory },
        ...further.shop,
      },
    },
  }), { mode: 0o600 });
  return { configurationFile, repository };
}
