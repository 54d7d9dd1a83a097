import { access, appendFile, mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { ApplicationFailure, Context, heartbeat } from '@temporalio/activity';
import type { AbsenceProof, PlaceCall } from '../../../contracts/ledger.ts';

/** What a step of the toy writes, and how that goes wrong. `whenCancelled`: what it does about it; `stallMs`: how long it takes. */
export interface ToyFile { root: string; fence: number; name: string; outside?: boolean; fail: boolean; failsOnce: boolean; whenCancelled: 'end' | 'find damage' | 'go on'; stallMs: number }

const box = (root: string, fence: number) => path.join(root, `box-${fence}`);

const isThere = (file: string) => access(file).then(() => true, () => false);

/** Real side effects, small ones: files in a directory that the fence names. */
export const toyActivities = {
  /** What is in the file `root` there: as a host that is looked up when a run begins. */
  async findRoot({ root }: { root: string }): Promise<string> {
    return path.join(root, await readFile(path.join(root, 'root'), 'utf8'));
  },
  async openToyPlace({ root, fence }: PlaceCall & { root: string }): Promise<void> {
    await mkdir(box(root, fence)).catch((error: NodeJS.ErrnoException) => { if (error.code !== 'EEXIST') throw error; });
  },
  async writeToy({ root, fence, name, outside, fail, failsOnce, whenCancelled, stallMs }: ToyFile): Promise<string> {
    await appendFile(path.join(root, 'journal'), `begin ${name}\n`);
    if (failsOnce && Context.current().info.attempt === 1) throw new Error('for once');
    for (const end = Date.now() + stallMs; Date.now() < end;) {
      heartbeat({ phase: name });
      await sleep(100);
      const { cancellationSignal } = Context.current();
      if (cancellationSignal.aborted && whenCancelled === 'find damage') throw ApplicationFailure.nonRetryable(`${name} is damaged`, 'BACKUP_DAMAGED');
      if (whenCancelled === 'end') cancellationSignal.throwIfAborted();
    }
    if (fail) throw ApplicationFailure.nonRetryable(`${name} cannot be written`, 'PREFLIGHT');
    // Not recursive: in a place that was closed nothing can be made.
    await writeFile(outside ? path.join(root, `out-${name}`) : path.join(box(root, fence), name), name);
    return `wrote ${name}`;
  },
  async undoToy({ root, name }: ToyFile): Promise<{ detail: string }> {
    // An activity is at least once; whoever counts what was undone has to tell a second attempt from a second undo.
    const { activityId, workflowExecution } = Context.current().info;
    await appendFile(path.join(root, 'undone'), `${name} by ${workflowExecution?.runId ?? ''}/${activityId}\n`);
    await appendFile(path.join(root, 'journal'), `undo ${name}\n`);
    return { detail: `undid ${name}` };
  },
  async closeToyPlace({ root, fence }: PlaceCall & { root: string }): Promise<{ destroyed: string[] }> {
    // As long as a test wants it.
    while (await isThere(path.join(root, 'slow'))) {
      heartbeat();
      await sleep(100);
    }
    const held = await readdir(box(root, fence)).catch(() => []);
    // What a file that root made immutable does, without being root.
    if (await isThere(path.join(root, 'immutable'))) {
      throw ApplicationFailure.create({ message: 'the box cannot be removed', nonRetryable: true, cause: new Error("EPERM: operation not permitted, unlink 'one'") });
    }
    await rm(box(root, fence), { recursive: true, force: true });
    if (await isThere(path.join(root, 'complains'))) throw ApplicationFailure.nonRetryable('the box was removed, and something else was not');
    return { destroyed: held };
  },
  async proveToyAbsent({ root, fence }: PlaceCall & { root: string }): Promise<AbsenceProof> {
    // What a file system does that has gone.
    if (await isThere(path.join(root, 'stale'))) throw ApplicationFailure.nonRetryable('ESTALE: stale file handle, lstat');
    const found = await readdir(box(root, fence)).catch(() => []);
    return { at: new Date().toISOString(), looked: ['the box'], found };
  },
};
/** What the toy's workflow knows of them: no more than the types. */
export type ToyActivities = typeof toyActivities;
