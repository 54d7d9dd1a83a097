import type { z } from 'zod';
import { hasMoreParts, isLargerThan } from './json-size.ts';

/** In characters of JSON, and in members and elements at all levels: no message between workflows of ours has more, and to find out what is wrong with one takes longer than a task may take. */
const LARGEST_MESSAGE = 600_000;
const MOST_PARTS = 50_000;

/**
 * A message between workflows of ours, as whoever gets it takes it, and as whoever reads of it in a history has to; undefined
 * for what is none.
 */
export function accepted<Schema extends z.ZodType>(schema: Schema, payload: unknown): z.output<Schema> | undefined {
  return hasMoreParts(payload, MOST_PARTS) || isLargerThan(payload, LARGEST_MESSAGE) ? undefined : schema.safeParse(payload).data;
}
