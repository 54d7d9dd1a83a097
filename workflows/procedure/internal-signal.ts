import type { z } from 'zod';
import { accepted } from '../../contracts/accepted.ts';
import { onOtherSignals, onSignal, type SignalHandler } from './signals.ts';

/** Handles a message between workflows of ours: what does not fit its schema is dropped, as if it had not been sent. */
export function fitting<Schema extends z.ZodType>(schema: Schema, handle: (message: z.output<Schema>) => void): SignalHandler {
  return (payload) => {
    const message = accepted(schema, payload);
    if (message !== undefined) handle(message);
  };
}

/** Handles a signal between workflows of ours, as {@link fitting} says. */
export function onInternalSignal<Schema extends z.ZodType>(name: string, schema: Schema, handle: (message: z.output<Schema>) => void): void {
  listen(name, fitting(schema, handle));
}

function listen(name: string, handle: SignalHandler): void {
  onSignal(name, handle, 'Between workflows; not for people.');
}

/**
 * Handles signals of several names in the order in which they came. Of those that are there before an execution begins, the
 * SDK gives each handler its own, one handler after the other, so until they are heard there is only one.
 */
export function onInternalSignalsInOrder(handlers: Readonly<Record<string, SignalHandler>>): void {
  for (let isHeard = false; !isHeard;) {
    try {
      onOtherSignals((name, message) => { if (Object.hasOwn(handlers, name)) handlers[name]?.(message); });
      isHeard = true;
    } catch (error) {
      // A name that Temporal keeps for itself, which anybody can send, is refused by throwing. It waits no more: on to what came behind it.
      if (!(error instanceof TypeError)) throw error;
    }
  }
  for (const [name, handle] of Object.entries(handlers)) listen(name, handle);
  // What comes from now on comes in order, and such a name would fail the task for ever where there is a handler for all.
  onOtherSignals(undefined);
}
