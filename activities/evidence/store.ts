import { createHash } from 'node:crypto';
import type { Evidence } from '../../contracts/evidence.ts';

/** What a store says of one text without reading it. */
export interface StoredName { name: string; bytes: number; modifiedAtMs: number }

/**
 * Where evidence is kept: texts by name. A name stands for one text for good, so a text is put once, by whoever comes first.
 * Names are of letters, digits, `.`, `_`, `-`, and one `/` at most, after {@link BY_HEAD}. An object store has all of this:
 * a conditional put, a get, and a list by prefix.
 */
export interface EvidenceStore {
  /** What people call it: a directory's path, or `s3://bucket/prefix`. */
  readonly location: string;
  /** Where people find a text: its file's path, or its address. */
  locate(name: string): string;
  /** Gives a text its name; false where the name is taken, whatever it stands for. Throws what keeps it from being written. */
  putIfAbsent(name: string, text: string): Promise<boolean>;
  /** The text of a name; undefined where there is none. */
  get(name: string): Promise<string | undefined>;
  /** What lies directly in a folder, in no order; nothing where there is no such folder. */
  list(folder?: typeof BY_HEAD): Promise<StoredName[]>;
}

/** Where each piece of evidence has a second name, made of its head: what was written down elsewhere finds it. */
export const BY_HEAD = 'by-head';

/** The names of a run's evidence and of its report. */
export function namesOf({ workflowId, runId }: Pick<Evidence, 'workflowId' | 'runId'>): { evidence: string; report: string } {
  // Workflow ids are chosen by callers: what is not harmless in a name is replaced, and a digest keeps names apart.
  const readable = workflowId.replaceAll(/[^A-Za-z0-9._-]+/g, '_').replace(/^\.+/, '_').slice(0, 100);
  const base = `${readable}.${createHash('sha256').update(`${workflowId}\n${runId}`).digest('hex').slice(0, 12)}`;
  return { evidence: `${base}.json`, report: `${base}.html` };
}

/** The name that evidence has by its head. */
export function nameByHead(head: string): string {
  return `${BY_HEAD}/${head}.json`;
}
