import { defineSignal, setHandler } from '@temporalio/workflow';
import type { z } from 'zod';

/** Handles a signal between workflows of ours: what does not fit its schema is dropped, as if it had not been sent. */
export function onInternalSignal<Schema extends z.ZodType>(name: string, schema: Schema, handle: (message: z.output<Schema>) => void): void {
  setHandler(defineSignal<[unknown?]>(name), (payload) => {
    const parsed = schema.safeParse(payload);
    if (parsed.success) handle(parsed.data);
  }, { description: 'Between workflows; not for people.' });
}
