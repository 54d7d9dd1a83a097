import { ApplicationFailure } from '@temporalio/common';
import { fenceName, ownerTag } from '../kernel/names.ts';
import type { SnapshotRef } from './snapshot-activities.ts';
import type { KeptSnapshot } from './snapshot-store.ts';

/** By these everything that this runbook makes is known, and nothing else is ever removed. */
const [RUN, FENCE, TARGET, EXPIRES, BEGUN] = ['durable-runbooks:run', 'durable-runbooks:fence', 'durable-runbooks:target', 'durable-runbooks:expires', 'durable-runbooks:begun'] as const;
/** When it was found to be whole, RFC 3339. One without is of a run that is under way, or that did not come to its end. */
const FINISHED = 'durable-runbooks:finished';

/** Name of a run's snapshot, and of its copies: its stem, the run and the fence. */
export function snapshotName({ stem, owner, fence }: Pick<SnapshotRef, 'stem' | 'owner'> & { fence: number | '<fence>' }): string {
  return fenceName(stem, owner, fence);
}

/** What begins the name of a snapshot of a run: readable, sortable, and the same when an activity runs again. */
export function snapshotStem(prefix: string, startedAtMs: number): string {
  return `${prefix}-${new Date(startedAtMs).toISOString().replaceAll(/[-:]/g, '').slice(0, 15).toLowerCase()}z`;
}

/** The tags that a snapshot has from its first moment on. */
export function tagsOf(ref: SnapshotRef, begunAt: Date): Record<string, string> {
  return { ...identity(ref), [EXPIRES]: ref.expiresAt, [BEGUN]: begunAt.toISOString() };
}

/** Beside the mark the run's own: a policy may demand them of whoever sets tags. */
export function finishedTags(ref: SnapshotRef, at: Date): Record<string, string> {
  return { ...identity(ref), [FINISHED]: at.toISOString() };
}

function identity({ owner, fence, database }: SnapshotRef): Record<string, string> {
  return { [RUN]: ownerTag(owner), [FENCE]: String(fence), [TARGET]: database };
}

/** Whether all tags say that a snapshot is this run's, and not its name alone. */
export function isOfRun({ tags }: KeptSnapshot, ref: SnapshotRef): boolean {
  return Object.entries(identity(ref)).every(([key, value]) => tags[key] === value);
}

/** @throws ApplicationFailure `FENCED` */
export function requireOfRun(snapshot: KeptSnapshot, ref: SnapshotRef, where: string): void {
  if (!isOfRun(snapshot, ref)) throw notOfRun(snapshot.id, where);
}

/** `FENCED`; to be thrown. */
export function notOfRun(id: string, where: string): ApplicationFailure {
  return ApplicationFailure.nonRetryable(`the snapshot "${id}" in ${where} is not this run's: it lacks its tags, so nothing is done with it`, 'FENCED');
}

/** Whether a run found it to be whole: only then it stays. Whose it is, it does not say. */
export function isFinished({ tags }: KeptSnapshot): boolean {
  return tags[FINISHED] !== undefined;
}

/** When making it began, if it says so. */
export function begunAtMs({ tags }: KeptSnapshot): number | undefined {
  return instant(tags[BEGUN]);
}

/** Until when a snapshot of any run on this target is kept; undefined for what is not one of ours: somebody may have copied one, tags included, under a name of their own. */
export function expiresAtMs({ id, tags }: KeptSnapshot, database: string): number | undefined {
  const [run, fence] = [tags[RUN] ?? '', tags[FENCE] ?? ''];
  const isOurs = /^[0-9a-f]{8}$/.test(run) && /^\d+$/.test(fence) && tags[TARGET] === database && id.endsWith(`-${run}-${fence}`);
  return isOurs ? instant(tags[EXPIRES]) : undefined;
}

function instant(text: string | undefined): number | undefined {
  const ms = Date.parse(text ?? '');
  return Number.isNaN(ms) ? undefined : ms;
}
