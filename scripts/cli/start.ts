import { loadIfThere, withClient } from './connect.ts';
import type { ExitCode } from './exit.ts';
import { EXIT } from './exit.ts';
import type { TemporalOptions } from './options.ts';
import { note, print, systemUser } from './output.ts';
import { buildInput, contractOf, gateAhead, targetOf, workflowIdFor, type InputFlags } from './run-input.ts';
import type { WorkflowFlags } from './start-flags.ts';
import { startedLines, startRun } from './start-run.ts';
import { followToEnd } from './watch.ts';

/** `wait`: the command goes on as long as the run does, and ends with its outcome. `workflow`: what `temporal workflow start` was told beside the input. */
export interface StartOptions extends TemporalOptions, InputFlags {
  id?: string;
  taskQueue?: string;
  wait?: boolean;
  workflow?: WorkflowFlags;
}

/** `runbook start`: checks the input, starts the run, and with `--wait` ends as the run ends. */
export async function start(type: string, options: StartOptions): Promise<ExitCode> {
  const contract = contractOf(type);
  const input = buildInput(contract, options, systemUser());
  const loaded = await loadIfThere(options.config);
  const target = targetOf(contract, input, loaded?.configuration);
  return withClient(options, async (connected) => {
    const started = await startRun(connected, {
      type, input, workflowId: options.id ?? workflowIdFor(type, target, new Date()), taskQueue: options.taskQueue, workflow: options.workflow,
      webUi: loaded?.configuration.webUi, gate: gateAhead(contract, target, loaded?.configuration), flags: options,
    });
    if (!options.wait) {
      print(options, started, () => startedLines(started));
      return EXIT.done;
    }
    // With --json, standard output belongs to the outcome.
    for (const line of startedLines(started)) note(line);
    return followToEnd(connected, { workflowId: started.workflowId, runId: started.runId }, options);
  });
}
