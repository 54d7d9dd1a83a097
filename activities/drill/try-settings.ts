import { execFile } from 'node:child_process';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { serverEnvironment } from '../archive/host-programs.ts';
import { inBriefDirectory } from '../kernel/brief-directory.ts';
import { settingLines } from './configuration.ts';

const run = promisify(execFile);
/** It reads one file. */
const TRY_MS = 10_000;
/** What PostgreSQL says of a line of the file. */
const COMPLAINT = /(?:LOG|ERROR|FATAL): {2}(?!skipping missing|configuration file)(.*?)(?: in file ".*)?$/m;

/**
 * What the server would say of these settings when it starts: a name that it does not know, a value that it does not take.
 * Null where it takes them. Nothing is started: PostgreSQL is asked for one of its settings, which even root may do.
 */
export async function mistakeIn(settings: Readonly<Record<string, string>>, { binDirectory }: { binDirectory: string }): Promise<string | null> {
  if (Object.keys(settings).length === 0) return null;
  try {
    await inBriefDirectory(async (directory) => {
      await writeFile(join(directory, 'postgresql.conf'), settingLines(settings));
      await run(join(binDirectory, 'postgres'), ['-C', 'data_directory', '-D', directory], { timeout: TRY_MS, env: { ...serverEnvironment(), LC_ALL: 'C' } });
    });
    return null;
  } catch (error) {
    const { stderr, code, message } = error as { stderr?: string; code?: number | string; message: string };
    // A program that could not be run says nothing of settings.
    if (typeof code !== 'number' || stderr === undefined) throw error;
    return COMPLAINT.exec(stderr)?.[1] ?? (stderr.trim().split('\n').at(-1) || message);
  }
}
