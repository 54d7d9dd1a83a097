import { access, link, mkdir, open, readdir, readFile, rename, rm } from 'node:fs/promises';
import { createHash, randomBytes, randomUUID } from 'node:crypto';
import path from 'node:path';
import type { Signature } from '../../contracts/chain.ts';
import { evidenceSchema, type Evidence } from '../../contracts/evidence.ts';
import type { EvidenceFiles } from '../kernel/kernel-activities.ts';
import { seal, textOf } from './chain/seal.ts';
import { renderReport } from './report.ts';

export interface EvidenceStore {
  /** Writes evidence and report once; the same run again leaves the first pair in place. */
  write(evidence: Evidence): Promise<EvidenceFiles>;
  /** Where the evidence of a run is, if it is there. */
  find(workflowId: string, runId: string): Promise<EvidenceFiles | undefined>;
}

/**
 * Evidence in a directory that only we can read. A file is complete or absent, never overwritten, and closed by the chain over
 * all of it. `sign` signs that, where there is a key.
 */
export function createEvidenceStore(directory: string, sign?: (head: string) => Signature): EvidenceStore {
  const root = path.resolve(directory);
  const files = (workflowId: string, runId: string) => {
    const base = path.join(root, fileName(workflowId, runId));
    return { evidence: `${base}.json`, report: `${base}.html` };
  };
  const readBack = async (file: string) => evidenceSchema.parse(JSON.parse(await readFile(file, 'utf8')));
  const headOf = ({ chain }: Evidence) => chain.seal?.head ?? null;
  const find: EvidenceStore['find'] = async (workflowId, runId) => {
    const pair = files(workflowId, runId);
    return (await exists(pair.evidence)) && (await exists(pair.report)) ? { ...pair, head: await readBack(pair.evidence).then(headOf, () => null) } : undefined;
  };
  return {
    find,
    async write(evidence) {
      const checked = evidenceSchema.parse(evidence);
      const existing = await find(checked.workflowId, checked.runId);
      if (existing) return existing;
      const pair = files(checked.workflowId, checked.runId);
      await mkdir(root, { recursive: true, mode: 0o700 });
      // A run that is ended while it writes, and its guardian, may both do so: the report is one of the evidence that was first.
      const sealed = seal(checked, randomBytes(32).toString('hex'), sign);
      const isFirst = await publish(pair.evidence, textOf(sealed));
      const kept = isFirst ? sealed : await readBack(pair.evidence);
      await publish(pair.report, renderReport(kept));
      return { ...pair, head: headOf(kept) };
    },
  };
}

/** Workflow ids are chosen by callers: what is not harmless in a file name is replaced, and a digest keeps names apart. */
function fileName(workflowId: string, runId: string): string {
  const readable = workflowId.replaceAll(/[^A-Za-z0-9._-]+/g, '_').replace(/^\.+/, '_').slice(0, 100);
  return `${readable}.${createHash('sha256').update(`${workflowId}\n${runId}`).digest('hex').slice(0, 12)}`;
}

/** What the name under which an attempt writes a file adds to the file's own: each has another, so that two never write into one. */
const PARTIAL = /^\.[\w-]+\.part$/;

/** Gives a file its name whole, unless there is one already; true when it is ours. */
async function publish(file: string, text: string): Promise<boolean> {
  const partial = `${file}.${randomUUID()}.part`;
  const handle = await open(partial, 'w', 0o600);
  try {
    await handle.writeFile(text);
    await handle.sync();
  } finally {
    await handle.close();
  }
  const isOurs = await link(partial, file).then(() => true, async (error: NodeJS.ErrnoException) => {
    // Another was faster; it may have cleared up, too.
    if (await exists(file)) return false;
    // A file system without links: nothing there can tell who was first.
    if (error.code === 'ENOENT') throw error;
    await rename(partial, file);
    return true;
  });
  await removePartials(file);
  return isOurs;
}

/** What a killed attempt left; a living one finds that the file is there already. */
async function removePartials(file: string): Promise<void> {
  const { dir, base } = path.parse(file);
  for (const name of await readdir(dir)) {
    if (name.startsWith(base) && PARTIAL.test(name.slice(base.length))) await rm(path.join(dir, name), { force: true });
  }
}

async function exists(file: string): Promise<boolean> {
  return access(file).then(() => true, () => false);
}
