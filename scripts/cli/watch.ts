import { setTimeout as sleep } from 'node:timers/promises';
import { ApplicationFailure, WorkflowFailedError } from '@temporalio/client';
import { isUnanswered, withClient, type Connected } from './connect.ts';
import { EXIT, type ExitCode } from './exit.ts';
import { plainDisplay, terminalDisplay } from './live-display.ts';
import type { GlobalOptions, TemporalOptions } from './options.ts';
import { note, print } from './output.ts';
import { outcomeLines, type RunEnding } from './outcome-lines.ts';
import { RateMeter, runLines } from './progress-lines.ts';
import { readRun, type RunView } from './run-view.ts';
import { quote } from './start-run.ts';

const LOOK_EVERY_MS = 1_000;
/** A server that restarts is back within this; a watcher need not be started again for it. */
const PATIENCE_MS = 60_000;

/** `runbook status`: the run as it is now. */
export function status(workflowId: string, options: TemporalOptions): Promise<ExitCode> {
  return withClient(options, async ({ client }) => {
    const view = await readRun(client, workflowId);
    print(options, view, () => runLines(view, new RateMeter(), Date.now()));
    return EXIT.done;
  });
}

/** `runbook watch`: live until the run ends; ends as it ends. */
export function watch(workflowId: string, options: TemporalOptions): Promise<ExitCode> {
  return withClient(options, (connected) => followToEnd(connected, { workflowId }, options));
}

/** Shows a run until it ends and prints its outcome. Ctrl-C ends the watching, never the run. */
export async function followToEnd({ client }: Connected, run: { workflowId: string; runId?: string }, options: GlobalOptions): Promise<ExitCode> {
  const interrupted = new AbortController();
  const onInterrupt = () => interrupted.abort();
  process.once('SIGINT', onInterrupt);
  // With --json, what happens on the way goes where it is in nobody's way.
  const display = process.stdout.isTTY && !options.json ? terminalDisplay(process.stdout) : plainDisplay(options.json ? note : (line) => process.stdout.write(`${line}\n`));
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
      if (view && view.status !== 'RUNNING') return await finish(client, view, options);
      await sleep(LOOK_EVERY_MS, undefined, { signal: interrupted.signal }).catch(() => undefined);
      if (interrupted.signal.aborted) break;
    }
    note(`\nThe run goes on. Watch it again: runbook watch ${quote(run.workflowId)} - end it: runbook abort ${quote(run.workflowId)}`);
    return EXIT.interrupted;
  } finally {
    process.removeListener('SIGINT', onInterrupt);
  }
}

async function finish(client: Connected['client'], view: RunView, options: GlobalOptions): Promise<ExitCode> {
  const ending = await endingOf(client, view);
  print(options, ending, () => outcomeLines(ending));
  return ending.status === 'COMPLETED' ? EXIT.done : EXIT.failed;
}

/** What a closed run returned or why it failed, from its history: no worker is needed. */
async function endingOf(client: Connected['client'], { workflowId, runId, type, status: state }: RunView): Promise<RunEnding> {
  const ending: RunEnding = { workflowId, runId, type, status: state, failure: null, result: null };
  try {
    ending.result = recordOf(await client.workflow.getHandle(workflowId, runId).result());
  } catch (error) {
    if (!(error instanceof WorkflowFailedError)) throw error;
    const { cause } = error;
    ending.failure = { type: (cause instanceof ApplicationFailure ? cause.type : null) ?? state, message: cause?.message ?? error.message };
    if (cause instanceof ApplicationFailure) ending.result = recordOf(cause.details?.[0]);
  }
  return ending;
}

function recordOf(value: unknown): Record<string, unknown> | null {
  return typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Record<string, unknown>) : null;
}
