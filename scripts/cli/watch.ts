import { setTimeout as sleep } from 'node:timers/promises';
import { isOver } from '../../contracts/run-status.ts';
import { isUnanswered, withClient, type Connected } from './connect.ts';
import { EXIT, type ExitCode } from './exit.ts';
import { plainDisplay, terminalDisplay } from './live-display.ts';
import type { TemporalOptions } from './options.ts';
import { note, print } from './output.ts';
import { outcomeLines } from './outcome-lines.ts';
import { ourCommand } from './printed-command.ts';
import { RateMeter, runLines } from './progress-lines.ts';
import { endingOf } from './run-ending.ts';
import { readRun, type RunView } from './run-view.ts';

const LOOK_EVERY_MS = 1_000;
/** A server that restarts is back within this; a watcher need not be started again for it. */
const PATIENCE_MS = 60_000;

/** `runbook status`: the run as it is now. */
export function status(workflowId: string, options: TemporalOptions): Promise<ExitCode> {
  return withClient(options, async ({ client }) => {
    const view = await readRun(client, workflowId);
    const ending = isOver(view.status) ? await endingOf(client, view) : null;
    print(options, { ...view, ending }, () => [...runLines(view, new RateMeter(), Date.now(), options), ...(ending ? outcomeLines(ending).slice(1) : [])]);
    return EXIT.done;
  });
}

/** `runbook watch`: live until the run ends; ends as it ends. */
export function watch(workflowId: string, options: TemporalOptions): Promise<ExitCode> {
  return withClient(options, (connected) => followToEnd(connected, { workflowId }, options));
}

/** Shows a run until it ends and prints its outcome. Ctrl-C ends the watching, never the run. */
export async function followToEnd({ client }: Connected, run: { workflowId: string; runId?: string }, options: TemporalOptions): Promise<ExitCode> {
  const interrupted = new AbortController();
  const onInterrupt = () => interrupted.abort();
  process.once('SIGINT', onInterrupt);
  // With --json, what happens on the way goes where it is in nobody's way.
  const display = process.stdout.isTTY && !options.json ? terminalDisplay(process.stdout, options) : plainDisplay(options.json ? note : (line) => process.stdout.write(`${line}\n`), options);
  try {
    let answeredAtMs = Date.now();
    for (;;) {
      let view: RunView | undefined;
      try {
        // The newest run of the id: a run may have been reset, or have continued as new.
        view = await readRun(client, run.workflowId);
        answeredAtMs = Date.now();
      } catch (error) {
        if (!isUnanswered(error) || Date.now() - answeredAtMs > PATIENCE_MS) throw error;
      }
      if (interrupted.signal.aborted) break;
      if (view) display.show(view, Date.now());
      if (view && isOver(view.status)) return await finish(client, view, options);
      await sleep(LOOK_EVERY_MS, undefined, { signal: interrupted.signal }).catch(() => undefined);
      if (interrupted.signal.aborted) break;
    }
    note(`\nThe run goes on. Watch it again: ${ourCommand(options, 'watch', run.workflowId)} - end it: ${ourCommand(options, 'abort', run.workflowId)}`);
    return EXIT.interrupted;
  } finally {
    process.removeListener('SIGINT', onInterrupt);
  }
}

async function finish(client: Connected['client'], view: RunView, options: TemporalOptions): Promise<ExitCode> {
  const ending = await endingOf(client, view);
  print(options, ending, () => outcomeLines(ending));
  return ending.status === 'COMPLETED' ? EXIT.done : EXIT.failed;
}
