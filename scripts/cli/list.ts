import { RUNBOOKS } from '../../contracts/runbooks.ts';
import { EXIT, type ExitCode } from './exit.ts';
import type { GlobalOptions } from './options.ts';
import { print, table } from './output.ts';

/** `runbook list`: the runbooks there are. */
export async function list(options: GlobalOptions): Promise<ExitCode> {
  const runbooks = Object.values(RUNBOOKS).map(({ type, title, gates }) => ({ type, title, gates }));
  print(options, runbooks, () => table(['RUNBOOK', 'GATES', 'WHAT IT DOES'], runbooks.map(({ type, title, gates }) => [type, gates.join(', ') || '-', title])));
  return EXIT.done;
}
