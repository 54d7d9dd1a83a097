import type { z } from 'zod';
import { accepted } from '../../contracts/accepted.ts';
import { onSignal, takeWaitingSignals, type SignalHandler, type SignalHandling } from './signals.ts';

const DESCRIPTION = 'Between workflows; not for people.';

/** Handles a message between workflows of ours: what does not fit its schema is dropped, as if it had not been sent. */
export function fitting<Schema extends z.ZodType>(schema: Schema, handle: (message: z.output<Schema>) => undefined): SignalHandler {
  return (payload) => {
    const message = accepted(schema, payload);
    if (message !== undefined) handle(message);
  };
}

/** What handles a signal between workflows of ours, as {@link fitting} says. */
export function internalSignal<Schema extends z.ZodType>(schema: Schema, handle: (message: z.output<Schema>) => undefined): SignalHandling {
  return { handle: fitting(schema, handle), description: DESCRIPTION };
}

/** Handles a signal between workflows of ours, as {@link fitting} says. */
export function onInternalSignal<Schema extends z.ZodType>(name: string, schema: Schema, handle: (message: z.output<Schema>) => undefined): void {
  onSignal(name, fitting(schema, handle), DESCRIPTION);
}

/** Handles signals of several names in the order in which they came, those that wait first. */
export function onInternalSignalsInOrder(handlers: Readonly<Record<string, SignalHandler>>): void {
  for (const { name, payload } of takeWaitingSignals()) if (Object.hasOwn(handlers, name)) handlers[name]?.(payload);
  for (const [name, handle] of Object.entries(handlers)) onSignal(name, handle, DESCRIPTION);
}
