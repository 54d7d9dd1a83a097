import { QUERIES, type CompensationView } from '../../contracts/messages.ts';
import { formatSeconds } from '../../contracts/quantities.ts';
import { ask } from './ask.ts';
import { withClient } from './connect.ts';
import { EXIT, type ExitCode } from './exit.ts';
import type { TemporalOptions } from './options.ts';
import { plain, print, table } from './output.ts';
import { refuseClosed, unanswered } from './send-update.ts';
import { silenceOf } from './silence.ts';

/** `runbook compensations`: what an abort of a run would undo now, in that order, and how long each took the last time. */
export function compensations(workflowId: string, options: TemporalOptions): Promise<ExitCode> {
  return withClient(options, async ({ client }) => {
    const handle = client.workflow.getHandle(workflowId);
    // An id that nobody has is told as such. Of a run that was ended by force, the query would still list what its guardian undoes.
    await refuseClosed(handle, 'an abort');
    const entries = await ask<CompensationView[]>(client, handle, QUERIES.compensations).catch(async (error: unknown) => {
      throw unanswered(await silenceOf(client, handle, error), workflowId, undefined, { cause: error });
    });
    print(options, { workflowId, compensations: entries }, () => compensationLines(entries));
    return EXIT.done;
  });
}

/** What would be undone, for people, in the order in which it would be. */
export function compensationLines(entries: readonly CompensationView[]): string[] {
  if (entries.length === 0) return ['nothing would be undone'];
  return table(['', 'what is undone', 'of step', 'when', 'took last time'], entries.map(({ title, step, when, lastSeconds }, index) => [
    `${index + 1}.`, plain(title), plain(step), when === 'always' ? 'however it ends' : 'unless it succeeds', lastSeconds === null ? 'not known' : formatSeconds(lastSeconds),
  ]));
}
