import type { EvidenceFiles } from '../kernel/kernel-activities.ts';
import { patientStore } from './patient-store.ts';
import { BY_HEAD, type EvidenceStore, type StoredName } from './store.ts';
import { within } from '../kernel/within.ts';

/** As long as a store may take for one copy: a share that hangs must not keep the others waiting. */
const COPY_MS = 20_000;

/** Evidence is kept, and not yet copied to each place that it should be copied to. Trying again makes up for it. */
export class CopyFailure extends Error {
  override readonly name = 'CopyFailure';
  /** What is kept all the same. */
  readonly files: EvidenceFiles;
  constructor(failures: readonly string[], files: EvidenceFiles) {
    super(`the evidence is in ${files.evidence}, and could not be copied: ${failures.join('; ')}`);
    this.files = files;
  }
}

/** Texts by name, as the first store has them. `proof`: the name that must stand for this very text wherever it is. */
export interface Piece { texts: ReadonlyMap<string, string>; proof: string | undefined }

/**
 * Puts a piece of evidence into each copy; all are tried, whatever becomes of the others. Returns what failed, a sentence each.
 * A name that another host's evidence of the same run has already is left to that: this one is there by its head.
 */
export async function copyInto(copies: readonly EvidenceStore[], piece: Piece, patienceMs = COPY_MS): Promise<string[]> {
  const results = await Promise.all(copies.map((copy) => within(patienceMs, copyPiece(patientStore(copy, patienceMs), piece)).then(() => undefined, (error: Error) => `${copy.location}: ${error.message}`)));
  return results.filter((failure) => failure !== undefined);
}

async function copyPiece(copy: EvidenceStore, { texts, proof }: Piece): Promise<void> {
  for (const [name, text] of texts) {
    const isOurs = await copy.putIfAbsent(name, text);
    if (!isOurs && name === proof && await copy.get(name) !== text) throw new Error(`${name} is something else there, and is not overwritten`);
  }
}

/** What a copy lacks of a store, and what it has in another size: half of it, or other evidence of the same run. */
export interface Lack { missing: string[]; other: string[] }

/** Compares names and sizes, and reads nothing. Throws what keeps either from being listed, be it that the copy does not answer. */
export async function lackOf(copy: EvidenceStore, store: EvidenceStore, patienceMs?: number): Promise<Lack> {
  const lack: Lack = { missing: [], other: [] };
  const patient = patientStore(copy, patienceMs);
  for (const folder of [undefined, BY_HEAD] as const) {
    const there = new Map((await patient.list(folder)).map(({ name, bytes }) => [name, bytes]));
    for (const { name, bytes } of (await store.list(folder)).filter(isEvidence)) {
      const found = there.get(name);
      if (found === undefined) lack.missing.push(name);
      else if (found !== bytes) lack.other.push(name);
    }
  }
  return { missing: lack.missing.toSorted(), other: lack.other.toSorted() };
}

/**
 * Copies what a copy lacks, such as what was written while it was away for longer than runs wait. Overwrites nothing.
 * Returns the names of what was copied; throws what keeps one of them from it, and goes on with it the next time.
 */
export async function makeUpFor(copy: EvidenceStore, store: EvidenceStore, patienceMs?: number): Promise<string[]> {
  const copied: string[] = [];
  const patient = patientStore(copy, patienceMs);
  for (const name of (await lackOf(copy, store, patienceMs)).missing) {
    const text = await store.get(name);
    if (text !== undefined && await patient.putIfAbsent(name, text)) copied.push(name);
  }
  return copied;
}

/** Directories of people hold other things too. */
function isEvidence({ name }: StoredName): boolean {
  return /\.(json|html)$/.test(name);
}
