import { evidenceSchema, type Evidence } from '../../contracts/evidence.ts';
import type { EvidenceStore } from './store.ts';

/** So many are looked at: a run waits for some of it. In a directory that many databases share, most are of others. */
const LOOK_AT = 500;
/** So many are told, unless told otherwise. */
const AT_MOST = 40;

/** Whose evidence: a runbook's on a target. `writtenBy`: what was written by then comes first. `atMost`: so many are told. */
export interface EvidenceOf { runbook: string; target: string; writtenByMs?: number; atMost?: number }

/**
 * Evidence of a runbook on a target in a store, the one first that was written last. What cannot be read is passed over: what is
 * made of this is for people, and no proof. Names say nothing, since a run may have any id.
 */
export async function* newestEvidence(store: Pick<EvidenceStore, 'list' | 'get'>, { runbook, target, writtenByMs = Infinity, atMost = AT_MOST }: EvidenceOf): AsyncGenerator<Evidence> {
  const names = (await store.list().catch(() => [])).filter(({ name }) => name.endsWith('.json'));
  const isLate = ({ modifiedAtMs }: { modifiedAtMs: number }) => Number(modifiedAtMs > writtenByMs);
  let told = 0;
  for (const { name } of names.sort((a, b) => isLate(a) - isLate(b) || b.modifiedAtMs - a.modifiedAtMs).slice(0, LOOK_AT)) {
    const evidence = await store.get(name).then((text) => parseThat(text ?? '', target)).catch(() => undefined);
    if (evidence?.runbook !== runbook || evidence.target !== target) continue;
    yield evidence;
    told += 1;
    if (told >= atMost) return;
  }
}

/** Parses what can be of a target: evidence of a thousand tables is large, and most of it is of others. */
function parseThat(text: string, target: string): Evidence | undefined {
  return text.includes(JSON.stringify(target)) ? evidenceSchema.parse(JSON.parse(text)) : undefined;
}
