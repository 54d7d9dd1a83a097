import { readdir, readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { evidenceSchema, type Evidence } from '../../contracts/evidence.ts';

/** The newest files that are looked at. */
const LOOK_AT = 40;

/**
 * Evidence of a runbook on a target that is on this host, the newest first. What cannot be read is passed over: what is
 * made of this is for people, and no proof.
 */
export async function* newestEvidence(directory: string, { runbook, target }: { runbook: string; target: string }): AsyncGenerator<Evidence> {
  const names = (await readdir(directory).catch(() => [])).filter((name) => name.startsWith(runbook) && name.endsWith('.json'));
  const dated = await Promise.all(names.map(async (name) => ({ file: join(directory, name), at: await stat(join(directory, name)).then((info) => info.mtimeMs, () => 0) })));
  for (const { file } of dated.sort((a, b) => b.at - a.at).slice(0, LOOK_AT)) {
    const evidence = await readFile(file, 'utf8').then((text) => evidenceSchema.parse(JSON.parse(text))).catch(() => undefined);
    if (evidence?.runbook === runbook && evidence.target === target) yield evidence;
  }
}
