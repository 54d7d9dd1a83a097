import { writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { quote } from '../../contracts/quote.ts';
import { configurationFile } from '../../workers/config.ts';
import { CommandError, EXIT, type ExitCode } from './exit.ts';
import { firstConfiguration, parseConnectionString } from './first-configuration.ts';
import type { GlobalOptions } from './options.ts';
import { plain, print } from './output.ts';
import { ourCommand } from './printed-command.ts';

/** `runbook init`: writes a first configuration; never over one that is there, and never the password. */
export async function init(connectionString: string, options: GlobalOptions & { name?: string }): Promise<ExitCode> {
  const connection = parseConnectionString(connectionString);
  const { name, text, passwordFile } = firstConfiguration(connection, options.name);
  const file = configurationFile(options.config);
  try {
    await writeFile(file, text, { flag: 'wx', mode: 0o644 });
  } catch (cause) {
    const { code, message } = cause as NodeJS.ErrnoException;
    throw new CommandError(EXIT.usage, code === 'EEXIST' ? `${file} is there already and was not touched; edit it, or name another file with --config` : `${file} cannot be written (${code ?? message})`, { cause });
  }
  const beside = join(options.config === undefined ? '.' : dirname(options.config), passwordFile);
  const next = [
    `put the password of ${plain(connection.user)} into ${plain(passwordFile)}, beside ${plain(file)}: (umask 077; cat > ${quote(beside)})`,
    'set provider.repository and provider.walDirectory to where backups and WAL of this database are',
    ourCommand({}, 'doctor', ...(options.config === undefined ? [] : ['--config', options.config])),
  ];
  print(options, { file, database: name, passwordWritten: false, next }, () => [
    `wrote ${plain(file)} with the database "${name}"`,
    ...(connection.hasPassword ? ['The password was left out. It was in the arguments of this command, so it is in the history of your shell: remove it there.'] : []),
    'Next:', ...next.map((line, index) => `  ${index + 1}. ${line}`),
  ]);
  return EXIT.done;
}
