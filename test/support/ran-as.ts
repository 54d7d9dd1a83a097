import { expect } from 'vitest';
import type { Server } from './postgres.ts';

/**
 * What ran with the rights of another role than `owner` while this was done: names of functions that raise a warning
 * `NAME ran as ROLE`. A session that may not write can do that, too, and no rollback takes it back.
 */
export async function ranDuring(server: Server, owner: string, work: () => Promise<unknown>): Promise<string[]> {
  const begin = await mark(server);
  await work();
  const end = await mark(server);
  const log = server.log();
  // Of a long log the beginning is not kept.
  const lines = log.slice(Math.max(0, log.lastIndexOf(begin)), log.lastIndexOf(end)).matchAll(/(\w+) ran as (\w+)/g);
  return [...new Set([...lines].filter(([, , role]) => role !== owner).map(([, name = '']) => name))];
}

/** Writes into the server's log, which comes through a pipe, in order. */
async function mark(server: Server): Promise<string> {
  const text = `mark ${Math.random()}`;
  await server.withClient('postgres', (client) => client.query(`DO $$ BEGIN RAISE WARNING '${text}'; END $$`));
  await expect.poll(() => server.log()).toContain(text);
  return text;
}
