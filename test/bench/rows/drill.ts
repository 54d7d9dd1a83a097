import { randomUUID } from 'node:crypto';
import type { Client } from '@temporalio/client';
import type { DrTestResult } from '../../../contracts/dr-test.ts';
import { guardianId } from '../../../contracts/guardian.ts';
import { TASK_QUEUE } from '../../../contracts/search-attributes.ts';
import { interleave } from '../interleave.ts';
import { ratioOutcome } from '../outcome.ts';
import { median } from '../statistics.ts';
import { flush, runBaseline } from '../stage/run.ts';
import { scriptDrillVariables } from '../stage/script-drill.ts';
import type { RowGroup } from './row.ts';

/** Below this a fixed cost of a second would decide the ratio. */
const SHORTEST_SCRIPT_SECONDS = 30;

/** As often as the limits are meant to be measured: with fewer repetitions people try things out. */
const PROOF_REPETITIONS = 5;

/** A whole dr-test through Temporal, from the start of the run to its result, against the same by a shell script. */
export const drill: RowGroup = {
  names: ['drillVsScript'],
  async measure({ site, settings }) {
    await site.recoveryPoint('shop');
    const { client } = await site.working('shop');
    const variables = await scriptDrillVariables(site);
    const samples = await interleave([
      { name: 'drill', before: () => flush(site.root), run: async () => {
        const started = performance.now();
        const run = await startDrill(client, 'shop');
        const { verdict } = await run.result;
        await flush(site.root);
        const seconds = (performance.now() - started) / 1000;
        // The lock is free for the next one only when the guardian has ended.
        await run.settled();
        if (verdict.restore !== 'sound') throw new Error(`the drill of a sound backup found it ${verdict.restore}`);
        return seconds;
      } },
      { name: 'script', before: () => flush(site.root), run: async () => void (await runBaseline('drill.sh', variables)) },
    ], { repetitions: settings.repetitions, onSample: (name, repetition, value) => site.log(`  ${name} ${repetition}: ${value.toFixed(2)} s`) });
    const script = samples.get('script') ?? [];
    return [ratioOutcome('drillVsScript', { name: 'drill', samples: samples.get('drill') ?? [] }, { name: 'script', samples: script }, {
      ...judgeLength(script, settings.repetitions),
    })];
  },
};

/** What follows from how long the script took: where it was to be shown that the limit is kept, a short one shows nothing. */
export function judgeLength(script: readonly number[], repetitions: number): { notJudged: string | null; notes: string[] } {
  const short = median(script) < SHORTEST_SCRIPT_SECONDS ? `the script took less than ${SHORTEST_SCRIPT_SECONDS} s: repeat with a larger --size` : null;
  return repetitions >= PROOF_REPETITIONS ? { notJudged: short, notes: [] } : { notJudged: null, notes: short === null ? [] : [short] };
}

/** Starts a drill; `result` resolves when its workflow has ended, and `settled` when its guardian has too. */
export async function startDrill(client: Client, database: string): Promise<{ workflowId: string; result: Promise<DrTestResult>; settled: () => Promise<string> }> {
  const workflowId = `dr-test/${database}/${randomUUID()}`;
  const handle = await client.workflow.start('dr-test', { workflowId, taskQueue: TASK_QUEUE, args: [{ database, requester: 'bench' }] });
  const guardian = guardianId({ workflowId, firstExecutionRunId: handle.firstExecutionRunId });
  return {
    workflowId, result: handle.result() as Promise<DrTestResult>,
    settled: async () => { await client.workflow.getHandle(guardian).result(); return guardian; },
  };
}
