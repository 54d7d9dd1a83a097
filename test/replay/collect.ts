import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Client } from '@temporalio/client';
import { evidenceSchema } from '../../contracts/evidence.ts';
import { neutralEvidence, neutralHistory } from './neutral.ts';
import type { Recorded } from './scenario.ts';

/** Texts that may be committed, by the names of their files. */
export interface Collected { histories: Map<string, string>; evidence: Map<string, string> }

/** Reads the histories of runs, and all evidence that there is in a directory, and makes them neutral. */
export async function collect(client: Client, cases: readonly Recorded[], directory: string): Promise<Collected> {
  const histories = new Map<string, string>();
  for (const { name, workflowId, runId } of cases) {
    const handle = client.workflow.getHandle(workflowId, runId === '' ? undefined : runId);
    histories.set(`${name}.json`, neutralHistory(await handle.fetchHistory(), workflowId));
  }
  const evidence = new Map<string, string>();
  for (const file of (await readdir(directory)).filter((name) => name.endsWith('.json'))) {
    const record = evidenceSchema.parse(JSON.parse(await readFile(join(directory, file), 'utf8')));
    evidence.set(`${record.workflowId.split('/').filter((part) => part !== 'shop' && part !== 'recorded').at(-1)}.json`, neutralEvidence(record));
  }
  return { histories, evidence };
}
