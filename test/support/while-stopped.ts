import { existsSync } from 'node:fs';
import { open } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { startServer, type Server, type Settings } from './postgres.ts';

/** Stops a server, works on its files, of which it would hold pages in memory otherwise, and starts it again with these settings. */
export async function whileStopped({ dataDirectory, pid }: Server, settings: Settings, work: () => Promise<void>): Promise<Server> {
  process.kill(pid, 'SIGINT');
  while (existsSync(join(dataDirectory, 'postmaster.pid'))) await sleep(50);
  await work();
  return startServer({ dataDirectory, owns: dirname(dataDirectory), settings });
}

/** Fills a page of a relation with what PostgreSQL takes for no page. `path` as `pg_relation_filepath` says it; `page` counts from the end where it is negative. */
export async function spoilPage({ dataDirectory }: Server, path: string, page: number): Promise<void> {
  const handle = await open(join(dataDirectory, path), 'r+');
  const { size } = await handle.stat();
  await handle.write(Buffer.alloc(8192, 0xff), 0, 8192, page < 0 ? size + page * 8192 : page * 8192);
  await handle.close();
}
