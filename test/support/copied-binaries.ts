import { execFile } from 'node:child_process';
import { dirname, join, relative } from 'node:path';
import { promisify } from 'node:util';
import { findPostgres } from '../../activities/postgres/binaries.ts';
import { createWalkableDirectory } from './postgres.ts';

/** PostgreSQL's programs and libraries in a place of their own, from which a test may take some away: the server's own are everybody's. */
export async function copyBinaries(): Promise<{ binDirectory: string; libDirectory: string }> {
  const configured = process.env['TEST_POSTGRES_BIN'];
  const { binDirectory, libDirectory } = await findPostgres(configured === undefined ? {} : { binDirectory: configured });
  const root = dirname(binDirectory);
  const copy = join(createWalkableDirectory('bin'), 'postgres');
  await promisify(execFile)('cp', ['-a', '--reflink=auto', root, copy]);
  return { binDirectory: join(copy, 'bin'), libDirectory: join(copy, relative(root, libDirectory)) };
}
