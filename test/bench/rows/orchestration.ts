import type { Client } from '@temporalio/client';
import { interleave } from '../interleave.ts';
import { secondsOutcome } from '../outcome.ts';
import { secondsCovered, WORK, workIntervals } from '../work-intervals.ts';
import { startDrill } from './drill.ts';
import type { RowGroup } from './row.ts';

/**
 * Fixed cost of a drill: the wall time of a dr-test of a tiny database, as the client that starts it sees it, minus the
 * time in which at least one activity was at work whose time grows with the data. Plan, pre-flight, opening, removing and
 * proving the place, the kernel's own activities (settings, lock, ledger, evidence), the wait between the two proofs of
 * absence, Temporal's round trips and the workflow code are what it costs. No gate is configured: waiting for people is no
 * cost of ours.
 */
export const orchestration: RowGroup = {
  names: ['orchestration'],
  async measure({ site, settings }) {
    await site.recoveryPoint(site.smallest);
    const { client } = await site.working(site.smallest);
    const others = { 'outside of all activities': [] as number[], 'whole run': [] as number[] };
    const samples = await interleave([{ name: 'orchestration', run: async () => {
      const started = performance.now();
      const run = await startDrill(client, site.smallest);
      await run.result;
      const seconds = (performance.now() - started) / 1000;
      const work = await workSeconds(client, [run.workflowId, await run.settled()]);
      others['outside of all activities'].push(seconds - work.ofAll);
      others['whole run'].push(seconds);
      return seconds - work.ofDrill;
    } }], { repetitions: settings.repetitions, warmUps: settings.repetitions > 1 ? 1 : 0 });
    return [secondsOutcome('orchestration', samples.get('orchestration') ?? [], {
      others: Object.entries(others).map(([name, values]) => ({ name, samples: values.slice(-settings.repetitions) })), notes: [`all but ${WORK.join(', ')}`],
    })];
  },
};

async function workSeconds(client: Client, workflowIds: readonly string[]): Promise<{ ofDrill: number; ofAll: number }> {
  const histories = await Promise.all(workflowIds.map((workflowId) => client.workflow.getHandle(workflowId).fetchHistory()));
  const intervals = (of: 'drill' | 'all') => histories.flatMap(({ events }) => workIntervals(events ?? [], of));
  return { ofDrill: secondsCovered(intervals('drill')), ofAll: secondsCovered(intervals('all')) };
}
