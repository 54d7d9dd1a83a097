import type { temporal } from '@temporalio/proto';
import { expect, it } from 'vitest';
import { withSenders } from '../../activities/kernel/operation-senders.ts';
import type { OperationRecord } from '../../contracts/evidence.ts';

type HistoryEvent = temporal.api.history.v1.IHistoryEvent;
const signal = (identity: string, name = 'resume') => ({ workflowExecutionSignaledEventAttributes: { signalName: name, identity }, principal: { type: 'jwt', name: identity } }) as HistoryEvent;
const task = (by: string) => ({ workflowTaskCompletedEventAttributes: {}, principal: { type: 'jwt', name: by } }) as HistoryEvent;
const noted = (operation: string) => ({ operation, channel: 'signal' }) as OperationRecord;

it('gives each operation the sender of the signal that it was, and a worker vouches for nobody', () => {
  const events = [signal('anna'), task('worker'), signal('worker'), signal('ben', 'pause'), signal('carol')];
  expect(withSenders([noted('resume'), noted('pause'), noted('resume'), noted('resume'), noted('abort')], events).map(({ identity, principal }) => [identity, principal]))
    .toEqual([['anna', 'anna'], ['ben', 'ben'], ['worker', null], ['carol', 'carol'], [null, null]]);
});

it('does not stand still for a history full of signals: the worker could not say of its other work that it lives', () => {
  const events = Array.from({ length: 50_000 }, (_, index) => (index % 5 === 0 ? task('worker') : signal(`person ${index}`)));
  const began = performance.now();
  withSenders([noted('resume')], events);
  expect(performance.now() - began).toBeLessThan(2_000);
});
