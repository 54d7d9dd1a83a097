import { defineSignal, setDefaultSignalHandler, setHandler } from '@temporalio/workflow';
import type { z } from 'zod';
import { hasMoreParts, isLargerThan } from '../../contracts/json-size.ts';

type Handler = (payload: unknown) => void;

/** In characters of JSON, and in members and elements at all levels: no message of ours has more, and to find out what is wrong with one takes longer than a task may take. */
const LARGEST_MESSAGE = 600_000;
const MOST_PARTS = 20_000;

/** Handles a message between workflows of ours: what does not fit its schema is dropped, as if it had not been sent. */
export function fitting<Schema extends z.ZodType>(schema: Schema, handle: (message: z.output<Schema>) => void): Handler {
  return (payload) => {
    if (isLargerThan(payload, LARGEST_MESSAGE) || hasMoreParts(payload, MOST_PARTS)) return;
    const parsed = schema.safeParse(payload);
    if (parsed.success) handle(parsed.data);
  };
}

/** Handles a signal between workflows of ours, as {@link fitting} says. */
export function onInternalSignal<Schema extends z.ZodType>(name: string, schema: Schema, handle: (message: z.output<Schema>) => void): void {
  listen(name, fitting(schema, handle));
}

function listen(name: string, handle: Handler): void {
  setHandler(defineSignal<[unknown?]>(name), handle, { description: 'Between workflows; not for people.' });
}

/**
 * Handles signals of several names in the order in which they came. Of those that are there before an execution begins, the
 * SDK gives each handler its own, one handler after the other, so until they are heard there is only one.
 */
export function onInternalSignalsInOrder(handlers: Readonly<Record<string, Handler>>): void {
  for (let isHeard = false; !isHeard;) {
    try {
      setDefaultSignalHandler((name, message) => { if (Object.hasOwn(handlers, name)) handlers[name]?.(message); });
      isHeard = true;
    } catch (error) {
      // A name that Temporal keeps for itself, which anybody can send, is refused by throwing. It waits no more: on to what came behind it.
      if (!(error instanceof TypeError)) throw error;
    }
  }
  for (const [name, handle] of Object.entries(handlers)) listen(name, handle);
  // What comes from now on comes in order, and such a name would fail the task for ever where there is a handler for all.
  setDefaultSignalHandler(undefined);
}
