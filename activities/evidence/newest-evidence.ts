import { evidenceSchema, type Evidence } from '../../contracts/evidence.ts';
import type { EvidenceStore } from './store.ts';

/** The newest that are looked at, unless told otherwise. */
const LOOK_AT = 40;

/** Whose evidence: a runbook's on a target. `writtenBy`: what was written by then comes first. `lookAt`: so many are read. */
export interface EvidenceOf { runbook: string; target: string; writtenByMs?: number; lookAt?: number }

/**
 * Evidence of a runbook on a target in a store, the one first that was written last. What cannot be read is passed over: what is
 * made of this is for people, and no proof.
 */
export async function* newestEvidence(store: Pick<EvidenceStore, 'list' | 'get'>, { runbook, target, writtenByMs = Infinity, lookAt = LOOK_AT }: EvidenceOf): AsyncGenerator<Evidence> {
  const names = (await store.list().catch(() => [])).filter(({ name }) => name.startsWith(runbook) && name.endsWith('.json'));
  const isLate = ({ modifiedAtMs }: { modifiedAtMs: number }) => Number(modifiedAtMs > writtenByMs);
  for (const { name } of names.sort((a, b) => isLate(a) - isLate(b) || b.modifiedAtMs - a.modifiedAtMs).slice(0, lookAt)) {
    const evidence = await store.get(name).then((text) => evidenceSchema.parse(JSON.parse(text ?? ''))).catch(() => undefined);
    if (evidence?.runbook === runbook && evidence.target === target) yield evidence;
  }
}
