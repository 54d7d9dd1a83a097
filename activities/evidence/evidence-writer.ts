import { randomBytes } from 'node:crypto';
import type { Signature } from '../../contracts/chain.ts';
import { evidenceSchema, type Evidence } from '../../contracts/evidence.ts';
import type { EvidenceFiles } from '../kernel/kernel-activities.ts';
import { seal, textOf } from './chain/seal.ts';
import { CopyFailure, copyInto } from './copies.ts';
import { earlierRuns } from './earlier-runs.ts';
import { renderReport } from './report.ts';
import { nameByHead, namesOf, type EvidenceStore } from './store.ts';

/** What writes evidence, for runs and for guardians alike: of both that write one run's, the first counts. */
export interface EvidenceWriter {
  /**
   * Writes evidence and report once, and copies them; the same run again leaves the first in place. Throws a
   * {@link CopyFailure} when only copies are missing: again makes up for them.
   */
  write(evidence: Evidence): Promise<EvidenceFiles>;
  /** Where the evidence of a run is, if it is there. Whatever its writer had not come to (report, copies) is made up for. */
  finish(workflowId: string, runId: string): Promise<EvidenceFiles | undefined>;
}

/**
 * Keeps evidence in a store, closed by the chain over all of it, findable by its head, and copied to further stores. `sign`
 * signs the head, where there is a key.
 */
export function createEvidenceWriter({ store, copies = [], sign }: { store: EvidenceStore; copies?: readonly EvidenceStore[]; sign?: ((head: string) => Signature) | undefined }): EvidenceWriter {
  const finish: EvidenceWriter['finish'] = async (workflowId, runId) => {
    const names = namesOf({ workflowId, runId });
    const text = await store.get(names.evidence);
    if (text === undefined) return undefined;
    const evidence = parse(text, store.locate(names.evidence));
    const head = evidence.chain.seal?.head ?? null;
    const files = { evidence: store.locate(names.evidence), report: store.locate(names.report), head };
    const proof = head === null ? undefined : nameByHead(head);
    if (proof !== undefined) await store.putIfAbsent(proof, text);
    const report = await store.get(names.report) ?? await writeReport(names.report, evidence);
    const failures = await copyInto(copies, { texts: new Map([...(proof === undefined ? [] : [[proof, text] as const]), [names.evidence, text], [names.report, report]]), proof: proof ?? names.evidence });
    if (failures.length > 0) throw new CopyFailure(failures, files);
    return files;
  };
  const writeReport = async (name: string, evidence: Evidence): Promise<string> => {
    const report = renderReport(evidence, await earlierRuns(store, evidence));
    return await store.putIfAbsent(name, report) ? report : await store.get(name) ?? report;
  };
  return {
    finish,
    async write(evidence) {
      const checked = evidenceSchema.parse(evidence);
      const { workflowId, runId } = checked;
      const { evidence: name } = namesOf(checked);
      // A run that is ended while it writes, and its guardian, may both do so: the report is one of the evidence that was first.
      if (await store.get(name) === undefined) await store.putIfAbsent(name, textOf(seal(checked, randomBytes(32).toString('hex'), sign)));
      const files = await finish(workflowId, runId);
      if (!files) throw new Error(`${store.locate(name)} was removed as soon as it was written`);
      return files;
    },
  };
}

/** @throws Error for half a file, which a writer that was killed leaves where the file system has no links */
function parse(text: string, where: string): Evidence {
  try {
    return evidenceSchema.parse(JSON.parse(text));
  } catch (cause) {
    throw new Error(`${where} is there and is not the evidence of a run; look at it, and put it elsewhere`, { cause });
  }
}
