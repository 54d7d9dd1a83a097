import { runbook } from '../../../workflows/procedure/runbook.ts';
import { BenchGate, BenchSteps } from './contracts.ts';
import { host, workOf } from './work.ts';

export { guardian } from '../../../workflows/guardian/workflow.ts';
export { lock } from '../../../workflows/lock/workflow.ts';
export { notification } from '../../../workflows/notification/workflow.ts';
export { bareWait } from './bare-workflows.ts';

/** Takes its target, and then one activity a step. */
const benchSteps = runbook(BenchSteps, async (run, { steps, withUndo }) => {
  const fence = await run.own(null);
  const input = workOf(run.owner, fence);
  for (let step = 1; step <= steps; step += 1) {
    // As long as names of dr-test's steps are on average.
    await run.step(`replay db ${step}`, () => host.recoverToManifest(input), {
      summary: ({ replayedLsn }) => `paused at ${replayedLsn}`,
      ...(withUndo ? { undo: { id: `replay-${step}`, title: `undo replay ${step}`, when: 'failure', call: { activity: 'undoNothing', input: input.drill, taskQueue: 'bench-host', startToCloseMs: 60_000 } } } : {}),
    });
  }
  return { result: {} };
});

/** Waits for people. */
const benchGate = runbook(BenchGate, async (run) => {
  run.plan({ recoveryPoint: '2026-01-31T02-00-00Z-4f9c2a', bytes: 2 ** 40 });
  await run.gate('start');
  return { result: {} };
});
export { benchSteps as 'bench-steps', benchGate as 'bench-gate' };
