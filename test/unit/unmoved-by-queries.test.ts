import { beforeEach, describe, expect, it } from 'vitest';
import { INTERNAL, NOT_TAKEN_UP } from '../../contracts/messages.ts';
import { interceptors } from '../../workflows/procedure/unmoved-by-queries.ts';

type Intercepted = NonNullable<NonNullable<ReturnType<typeof interceptors>['internals']>[number]['activate']>;
type Activation = Parameters<Intercepted>[0]['activation'];

const [activity, signal, timer] = [{ resolveActivity: {} }, { signalWorkflow: {} }, { fireTimer: {} }];
const query = (queryType: string, args: unknown[] = []) => ({ queryWorkflow: { queryType, arguments: args as never } });
const LAST = query(INTERNAL.lastRecord, [{}]);

/** What the SDK gives to a run, and what of it reached that. */
let reached: number[];
let activate: (activation: Activation) => void;
beforeEach(() => {
  reached = [];
  const [internals] = interceptors().internals ?? [];
  let count = 0;
  activate = (activation) => {
    count += 1;
    const number = count;
    internals?.activate?.({ activation, batchIndex: 0 }, () => void reached.push(number));
  };
});

const task = (seconds: number, events: number, jobs: Activation['jobs'], more: Partial<Activation> = {}): Activation => ({ timestamp: { seconds: seconds as never, nanos: 7 }, historyLength: events, historySizeBytes: (events * 100) as never, isReplaying: false, jobs: jobs ?? [], ...more });
/** What happened after the last task has its time, and its size. */
const untaken = (seconds: number, events: number, taskEvents: number, jobs: Activation['jobs']): Activation => task(seconds, events, jobs, { historySizeBytes: (taskEvents * 100) as never });

describe('only workflow tasks move a run', () => {
  it('lets tasks through, in as many pieces as they come, replayed or not, and queries between them', () => {
    for (const one of [task(1, 3, [signal], { isReplaying: true }), task(2, 8, [activity]), task(2, 8, [timer]), task(2, 8, [query('progress')]), task(3, 12, [activity])]) activate(one);
    expect(reached).toEqual([1, 2, 3, 4, 5]);
  });

  it('takes for a task what has a size of its own, though the time is that of the one before: clocks of servers are set back', () => {
    for (const one of [task(5, 3, [signal]), task(5, 8, [activity]), task(5, 12, [activity])]) activate(one);
    expect(reached).toEqual([1, 2, 3]);
  });

  it('takes everything for a task where the server tells no sizes: one that was left out would be worse', () => {
    for (const one of [task(1, 3, [signal]), task(2, 8, [activity]), task(2, 12, [activity])]) activate({ ...one, historySizeBytes: 0 as never });
    expect(reached).toEqual([1, 2, 3]);
  });

  it('takes nothing for untaken that is replayed: what happened then is in history', () => {
    for (const one of [task(1, 3, [signal]), { ...untaken(1, 8, 3, [activity]), isReplaying: true }]) activate(one);
    expect(reached).toEqual([1, 2]);
  });

  it.each([[[activity]], [[timer]], [[signal]]])('does not let through what happened since the last task, and refuses the query that brought it: %j', (jobs) => {
    activate(task(1, 3, [signal]));
    activate(untaken(1, 8, 3, jobs));
    activate(untaken(1, 8, 3, [timer]));
    expect(() => activate(untaken(1, 8, 3, [query('progress')]))).toThrow(NOT_TAKEN_UP);
    expect(reached).toEqual([1]);
  });

  it('answers who knows that the run is over with what it had taken up, and nobody else after that', () => {
    activate(task(1, 3, [signal]));
    activate(untaken(1, 8, 3, [activity]));
    activate(untaken(1, 8, 3, [LAST]));
    expect(reached).toEqual([1, 3]);
    // A person who found it in a list, say.
    expect(() => activate(untaken(1, 8, 3, [query(INTERNAL.lastRecord)]))).toThrow(NOT_TAKEN_UP);
    expect(() => activate(untaken(1, 8, 3, [query('progress')]))).toThrow(NOT_TAKEN_UP);
    expect(() => activate(untaken(1, 8, 3, [LAST, query('progress')]))).toThrow(NOT_TAKEN_UP);
  });

  it('fails a task that comes to a run which has left something out: it is read anew', () => {
    activate(task(1, 3, [signal]));
    activate(untaken(1, 8, 3, [activity]));
    expect(() => activate(task(2, 11, [timer]))).toThrow(NOT_TAKEN_UP);
    expect(reached).toEqual([1]);
  });
});
