import { ApplicationFailure, proxyActivities, sleep } from '@temporalio/workflow';
import { z } from 'zod';
import { defineRunbook } from '../../../contracts/runbook.ts';
import { runbook } from '../../../workflows/procedure/runbook.ts';
import type { ToyActivities } from './activities.ts';

export { guardian } from '../../../workflows/guardian/workflow.ts';
export { lock } from '../../../workflows/lock/workflow.ts';
export { contender } from './contender.ts';
export { notification } from '../../../workflows/notification/workflow.ts';

/** The smallest runbook with everything the kernel gives: a gate, a place, two steps with compensations. */
export const Toy = defineRunbook({
  type: 'toy', title: 'writes two files', targetField: 'database', sharesTargetWith: [], gates: ['start'],
  input: z.strictObject({ database: z.string().optional(), requester: z.string().optional(), root: z.string(), failAt: z.string().optional(), failsOnce: z.boolean().default(false), whenCancelled: z.enum(['end', 'find damage', 'go on']).default('end'), stallMs: z.number().default(0), stallsAt: z.enum(['one', 'two']).optional(), outside: z.boolean().default(false), looksLastMs: z.number().default(0), looksFirst: z.boolean().default(false), undoTellsInput: z.boolean().default(false), undoesUnowned: z.boolean().default(false), undoes: z.boolean().default(true), undoesWhen: z.enum(['failure', 'always']).default('failure'), findsRoot: z.boolean().default(false), recheck: z.strictObject({ ms: z.number(), finds: z.enum(['the same', 'another plan', 'another and the first by turns', 'nothing']) }).optional() }),
});

const act = proxyActivities<ToyActivities>({ startToCloseTimeout: '1m', heartbeatTimeout: '2s', retry: { maximumAttempts: 2, initialInterval: '50ms' } });

/** Another that is as urgent as recovery. */
const UrgentToy = defineRunbook({ ...Toy, type: 'urgent-toy', priority: 'recovery' });

const page: Parameters<typeof runbook<typeof Toy.input, { fence: number }>>[1] = async (run, input) => {
  run.plan({ writes: ['one', 'two'] });
  run.verdictWhenFailing(['BACKUP_DAMAGED'], { restore: 'unsound', rto: null, rpo: null });
  // Steps that create nothing, before the target is taken.
  for (const name of input.looksFirst ? ['look', 'look again'] : []) await run.step(name, () => sleep(1_000));
  const { recheck } = input;
  let looks = 0;
  await run.gate('start', recheck ? {
    recheck: async () => {
      await sleep(recheck.ms);
      looks += 1;
      if (recheck.finds === 'another plan') run.plan({ writes: ['one', 'two', 'three'] });
      if (recheck.finds === 'another and the first by turns') run.plan({ writes: looks % 2 === 1 ? ['one', 'two', 'three'] : ['one', 'two'] });
      if (recheck.finds === 'nothing') throw ApplicationFailure.nonRetryable('the backup is gone', 'NOT_FOUND');
    },
  } : {});
  if (input.undoesUnowned) await run.step('write nothing', () => sleep(1), { undo: { id: 'nothing', title: 'nothing', when: 'failure', call: { activity: 'undoToy', input: {}, taskQueue: 'runbooks', startToCloseMs: 10_000 } } });
  const root = input.findsRoot ? await run.step('find its root', () => act.findRoot({ root: input.root })) : input.root;
  const fence = await run.own({ title: 'toy box', taskQueue: 'runbooks', input: { root }, open: 'openToyPlace', close: 'closeToyPlace', prove: 'proveToyAbsent' });
  for (const name of ['one', 'two']) {
    const file = { root, fence, name, outside: input.outside, fail: false, failsOnce: input.failsOnce && name === 'one', whenCancelled: input.whenCancelled, stallMs: name === (input.stallsAt ?? name) ? input.stallMs : 0 };
    await run.step(`write ${name}`, ({ fail }) => act.writeToy({ ...file, fail }), {
      input: { value: { fail: input.failAt === name }, schema: z.strictObject({ fail: z.boolean() }) },
      ...(name === 'two' ? { skippable: { result: 'not written', costs: 'two: it was not written, since an operator skipped it' } } : {}),
      ...(input.undoes ? { undo: ({ fail }: { fail: boolean }) => ({
        id: name, title: `record that ${name} is undone${input.undoTellsInput && fail ? ', which was to fail' : ''}`, when: input.undoesWhen, call: { activity: 'undoToy', input: file, taskQueue: 'runbooks', startToCloseMs: 10_000 },
      }) } : {}),
      summary: (text) => text,
    });
  }
  if (input.looksLastMs > 0) await run.step('look last', () => sleep(input.looksLastMs));
  return { result: { fence } };
};
const [toy, urgentToy] = [runbook(Toy, page), runbook(UrgentToy, page)];
export { toy, urgentToy as 'urgent-toy' };
