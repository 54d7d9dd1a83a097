import { resolve } from 'node:path';
import { findPostgres } from '../../activities/postgres/binaries.ts';

/** The oldest PostgreSQL that is backed up and drilled. */
const OLDEST_MAJOR = 14;

/** The absolute path of a directory with PostgreSQL's programs that somebody named. Throws a sentence where they will not do. */
export async function binDirectoryOf(named: string): Promise<string> {
  const binDirectory = resolve(named);
  const { version } = await findPostgres({ binDirectory });
  if (Number.parseInt(version, 10) < OLDEST_MAJOR) throw new Error(`${binDirectory} holds PostgreSQL ${version}, and ${OLDEST_MAJOR} or newer is needed`);
  return binDirectory;
}
