import { readdir, readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { evidenceSchema } from '../../contracts/evidence.ts';
import type { DrillPlan } from '../../contracts/dr-test.ts';
import type { PastDrill } from '../dr-test/dependencies.ts';

/** The newest files that are looked at, and how many drills are taken from them. */
const LOOK_AT = 40;
const TAKE = 5;

/** Sizes and times of the newest sound drills of a target, from the evidence on this host. What cannot be read is passed over: it is for a prediction only. */
export async function pastDrills(directory: string, target: string): Promise<PastDrill[]> {
  const names = (await readdir(directory).catch(() => [])).filter((name) => name.startsWith('dr-test') && name.endsWith('.json'));
  const dated = await Promise.all(names.map(async (name) => ({ file: join(directory, name), at: await stat(join(directory, name)).then((info) => info.mtimeMs, () => 0) })));
  const found: PastDrill[] = [];
  for (const { file } of dated.sort((a, b) => b.at - a.at).slice(0, LOOK_AT)) {
    const drill = await readDrill(file, target).catch(() => undefined);
    if (drill) found.push(drill);
    if (found.length === TAKE) break;
  }
  return found;
}

async function readDrill(file: string, target: string): Promise<PastDrill | undefined> {
  const evidence = evidenceSchema.parse(JSON.parse(await readFile(file, 'utf8')));
  if (evidence.runbook !== 'dr-test' || evidence.target !== target || evidence.verdict.restore === 'unsound' || !evidence.recovery) return undefined;
  const waits = ['detection', 'human wait', 'waiting for the lock'];
  const seconds = evidence.recovery.phases.filter((phase) => !waits.includes(phase.name)).reduce((sum, phase) => sum + phase.seconds, 0);
  return { bytes: (evidence.plan as DrillPlan).predicted.bytes, seconds };
}
