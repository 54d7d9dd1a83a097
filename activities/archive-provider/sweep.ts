import { readdir, rm, rmdir, stat } from 'node:fs/promises';
import { basename, join } from 'node:path';
import type { Client } from '@temporalio/client';
import { z } from 'zod';
import type { Configuration } from '../../contracts/configuration.ts';
import { guardianId } from '../../contracts/guardian.ts';
import { ownerSchema } from '../../contracts/ledger.ts';
import { isOver } from '../../contracts/run-status.ts';
import { lookAt } from '../archive/look-at.ts';
import { PART } from '../archive/write-durably.ts';
import { readSmallFile } from '../drill/hostile-files.ts';
import { describeIfKnown } from '../kernel/describe-if-known.ts';
import { PLACE_RECORD } from './drill-place.ts';

/** Much longer than making a place and writing its record takes. */
const OPENING_MS = 10 * 60_000;

/** What older code wrote does not say when the lease of its run ends. */
const placeRecord = z.object({ database: z.string(), fence: z.number().int(), owner: ownerSchema, leaseEndsAt: z.iso.datetime().optional() });
type PlaceRecord = z.output<typeof placeRecord>;

/** What a sweep needs. A place that cannot be removed is handed to `onStuck` and keeps no other from being removed. */
export interface SweepTools { client: Client; configuration: Configuration; onStuck: (place: string, error: Error) => void }

/** A kind of place: how one is named, and how it is closed. */
export interface PlaceKind {
  /** Names that can be ours, also of one that has no record yet. */
  pattern: RegExp;
  nameOf: (record: PlaceRecord) => string;
  /** `refuse` throws when the guardian lives again, as that of a run does which was reset: to be asked before each removal, which may take minutes. */
  close: (record: PlaceRecord, refuse: () => Promise<void>) => Promise<string[]>;
  /** False where others could exchange what lies there: then nothing is removed but by `close`, and only records of this user count. Default: true. */
  mayRemove?: boolean;
  /** Names of what closing has put aside to remove it: nobody's any more. */
  putAside?: RegExp;
}

/**
 * Closes the places in a directory whose guardians gave this host up and are closed, so that nobody else will. A living
 * guardian's is left alone; so is a young one whose guardian this server does not know, since it may be another server's.
 * Returns what was removed.
 */
export async function sweep(directory: string, kind: PlaceKind, tools: SweepTools): Promise<string[]> {
  const removed: string[] = [];
  // One that this user may not list holds nothing that a worker of this user has left.
  for (const name of await readdir(directory).catch(() => [])) {
    const place = join(directory, name);
    await sweepPlace(place, kind, tools).then((what) => removed.push(...what), (error: Error) => tools.onStuck(place, error));
  }
  return removed;
}

/** A place on this host. */
export interface FoundPlace {
  place: string;
  /** Its run. */
  workflowId: string;
  /** What the server says of the guardian, which closes it: one that is unknown may be another server's. */
  guardian: Guardian;
  /** When {@link sweep} closes one whose guardian is unknown. */
  overdueAt: Date;
  /** Whether it closes this one now. */
  isAbandoned: boolean;
}
type Guardian = 'running' | 'closed' | 'unknown';

/**
 * The places in a directory, and whether {@link sweep} would close them. Changes nothing. What this user may not look
 * at, and half a record, is handed to `onStuck`: there may be more. Throws what the server refuses.
 */
export async function findPlaces(directory: string, kind: Pick<PlaceKind, 'nameOf'>, tools: SweepTools): Promise<FoundPlace[]> {
  const found: FoundPlace[] = [];
  const names = await readdir(directory).catch((error: Error) => {
    if (!isAbsent(error)) tools.onStuck(directory, error);
    return [];
  });
  for (const name of names) {
    const place = join(directory, name);
    const record = await readRecord(place, kind).catch((error: Error) => tools.onStuck(place, error));
    if (record) found.push({ place, workflowId: record.owner.workflowId, ...await fateOf(record, tools) });
  }
  return found;
}

async function sweepPlace(place: string, kind: PlaceKind, tools: SweepTools): Promise<string[]> {
  const { mayRemove = true } = kind;
  if (!mayRemove && (await lookAt(join(place, PLACE_RECORD)))?.uid !== process.getuid?.()) return [];
  if (mayRemove && kind.putAside?.test(basename(place))) {
    await rm(place, { recursive: true, force: true, maxRetries: 3 });
    return [`what was left of ${place}`];
  }
  // Another user's worker closes its own.
  const record = await readRecord(place, kind).catch((error: NodeJS.ErrnoException) => {
    if (error.code !== 'EACCES') throw error;
  });
  if (!record) {
    if (mayRemove) await removeUnused(place, kind.pattern);
    return [];
  }
  if (!(await fateOf(record, tools)).isAbandoned) return [];
  return kind.close(record, async () => {
    if (await guardianOf(record.owner, tools.client) === 'running') throw new Error('its run was begun anew while this was removed; its guardian removes what is left');
  });
}

/** What a place says of itself; undefined for what is none of ours. Throws when it cannot be read, or is half a record. */
async function readRecord(place: string, { nameOf }: Pick<PlaceKind, 'nameOf'>): Promise<(PlaceRecord & { openedAtMs: number }) | undefined> {
  const file = join(place, PLACE_RECORD);
  try {
    const record = placeRecord.safeParse(JSON.parse(await readSmallFile(file))).data;
    if (!record || basename(place) !== nameOf(record)) return undefined;
    return { ...record, openedAtMs: (await stat(file)).mtimeMs };
  } catch (error) {
    // A stray file has nothing in it, either.
    if (isAbsent(error) || (error as NodeJS.ErrnoException).code === 'ENOTDIR') return undefined;
    throw error;
  }
}

function isAbsent(error: unknown): boolean {
  return (error as NodeJS.ErrnoException).code === 'ENOENT';
}

/**
 * A worker that was stopped while it opened a place may make the bare directory long after the place was closed. Removes
 * nothing that holds more than half a record, and nothing that is not a directory of ours.
 */
async function removeUnused(place: string, pattern: RegExp): Promise<void> {
  const age = Date.now() - (await stat(place).then(({ mtimeMs }) => mtimeMs, () => Date.now()));
  if (!pattern.test(basename(place)) || age <= OPENING_MS) return;
  await rm(join(place, `${PLACE_RECORD}${PART}`), { force: true });
  await rmdir(place).catch(() => undefined);
}

/** Whether nobody will close this place. One whose guardian the server does not know may be another server's, until it is overdue. */
async function fateOf({ owner, leaseEndsAt, openedAtMs }: Pick<PlaceRecord, 'owner' | 'leaseEndsAt'> & { openedAtMs: number }, { client, configuration }: Pick<SweepTools, 'client' | 'configuration'>): Promise<Omit<FoundPlace, 'place' | 'workflowId'>> {
  // The lease is that of whoever made it: another server's runs may have longer ones than this worker's.
  const overdueAt = new Date(leaseEndsAt ?? openedAtMs + configuration.lease.maximum);
  const guardian = await guardianOf(owner, client);
  return { guardian, overdueAt, isAbandoned: guardian === 'closed' || (guardian === 'unknown' && overdueAt.getTime() < Date.now()) };
}

async function guardianOf(owner: PlaceRecord['owner'], client: Client): Promise<Guardian> {
  const guardian = await describeIfKnown(client, guardianId(owner));
  if (!guardian) return 'unknown';
  return isOver(guardian.status.name) ? 'closed' : 'running';
}
