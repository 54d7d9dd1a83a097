import type { Client } from 'pg';
import type { Bucket, ComparisonResult, Difference, TableManifest } from '../../../contracts/manifest.ts';
import { cutRange, joinBuckets, type PageRange, type TableSize } from '../buckets.ts';
import { libraryTrouble } from '../../postgres/library-trouble.ts';
import { insufficientPrivilege, saysNothingOfTheData, sqlState } from '../errors.ts';
import { measureTable, readBucket, readMakers, readTuples, type Tuple } from '../read-bucket.ts';
import { throwIfAborted } from '../session.ts';
import type { Table } from '../tables.ts';
import type { Lockable } from './locked-tables.ts';
import { matchTuples } from './match-tuples.ts';
import { ofSource, SourceUnreadable, whatHinders } from './of-source.ts';
import { haveSameColumns, readsOtherwise } from './reads-otherwise.ts';
import { classRow, howReplaced, type Replaced, type TwoFiles } from './replaced-since.ts';
import { RowsOfManifest } from './rows-of-manifest.ts';
import { mustHave, type SharedPast } from './shared-past.ts';

/** How much of the rows that a copy has was compared, exactly, and with what. */
export type Coverage = NonNullable<ComparisonResult['coverage']>;

/** A connection to the copy, and one to its source where that answers. Both in a transaction. */
export interface Pair { copy: Client; source: Client | undefined }

/**
 * One table, as the manifest, the copy and the source have it. `hasFileOfManifest`: the copy surely has it in the file that it had by then;
 * `isMaybeRenamed`: it may be one of the manifest by another name, which does not say numbers; `isOfAnother`: the manifest means another database
 * by this name, and does not say how many rows there must be in this one.
 */
export interface TableOfAll extends TwoFiles, Lockable { manifest: TableManifest; hasFileOfManifest?: boolean; isMaybeRenamed?: boolean; isOfAnother?: boolean; isLockedInCopy?: boolean }

/** A library that the server of the copy cannot load, and what that says of it. */
export type Unloaded = `the copy cannot load a library (${string})`;

/** The same, of what was said. */
export function unloaded(said: string): Unloaded {
  return `the copy cannot load a library (${said})`;
}

/** Why rows could be held against neither the manifest nor the source; `rewritten since`: reloaded, though some of them were there by the manifest. */
export type Obstacle = 'no source' | 'locked at the source' | 'copy not readable' | 'rewritten since' | 'read otherwise since' | 'locked in the copy' | Unloaded | Replaced;

/**
 * `obstacles`: of the rows that are `unknown`. One may stand there without any, where nobody knows how many there are. `lacking`: how
 * many more the manifest has in the same ranges; what a copy has lost is not among what it has. Nor is what is `untold`: what the source
 * has, and nobody can tell whether the copy must have it.
 */
export interface RowsResult { coverage: Coverage; lacking: number; untold: number; differences: Difference[]; obstacles: Set<Obstacle> }

/** What a query reads of two servers at once and holds in memory, at most about so much of a table. */
const HELD_BYTES = 8 * 2 ** 20;

/** Compares some neighbouring buckets of one table; what differs is looked at in smaller parts, and in the end row by row. */
export async function compareRows(pair: Pair, tables: TableOfAll, buckets: readonly Bucket[], past: SharedPast | undefined, signal: AbortSignal): Promise<RowsResult> {
  const { manifest, copy } = tables;
  const result = nothingYet();
  throwIfAborted(signal);
  const expected = joinBuckets(buckets);
  const range = { fromPage: expected.fromPage, toPage: expected.toPage };
  const rowsExpected = tables.isOfAnother ? 0 : expected.rows;
  const label = `${manifest.schema}.${manifest.name}`;
  if (tables.isLockedInCopy) return notKnown(rowsExpected, 'locked in the copy');
  try {
    const reading = await readBucket(pair.copy, copy, range, 'fingerprint');
    if (typeof reading === 'string') throw new Error(`table ${copy.label} changed while the copy was read`);
    const { rows, fingerprint } = reading.bucket;
    // Of a table that was made since, the manifest does not say that it is empty.
    if (!tables.isNew && copy.method === manifest.method && rows === expected.rows && fingerprint === expected.fingerprint) {
      result.coverage.byManifest += rows;
      return result;
    }
    if (buckets.length > 1) {
      for (const bucket of buckets) join(result, await compareRows(pair, tables, [bucket], past, signal));
      return result;
    }
    return await compareWithSource(pair, tables, range, { expected: rowsExpected, rows }, past, signal);
  } catch (error) {
    throwIfAborted(signal);
    if (error instanceof SourceUnreadable) return notKnown(rowsExpected, error.obstacle);
    if (saysNothingOfTheData(error)) throw error;
    const said = libraryTrouble(error);
    if (said !== undefined) return lackingOf(notKnown(await countOf(pair.copy, copy, range) ?? rowsExpected, unloaded(said)), rowsExpected);
    const code = sqlState(error);
    // Who reads the copy may not read all that who took the manifest may: that says nothing of what was restored.
    if (code === insufficientPrivilege) return notKnown(rowsExpected, 'copy not readable');
    const message = /^(XX|58)/.test(code) ? (error as Error).message : 'the server could not read it';
    result.differences.push({ kind: 'unreadable', table: label, code, message, ...range });
    return result;
  }
}

async function compareWithSource(pair: Pair, tables: TableOfAll, range: PageRange, { expected, rows }: { expected: number; rows: number }, past: SharedPast | undefined, signal: AbortSignal): Promise<RowsResult> {
  const { manifest, copy, source } = tables;
  const result = nothingYet();
  const leave = (count: number, obstacle: Obstacle) => join(result, notKnown(count, obstacle));
  // Another file, as after TRUNCATE or VACUUM FULL, has its rows elsewhere.
  const hasSameFile = source !== undefined && copy.isHeap && source.oid === copy.oid && source.relfilenode === copy.relfilenode && source.method === copy.method;
  if (!pair.source || !past || tables.isGivenUp) {
    leave(rows, tables.isGivenUp ? 'locked at the source' : 'no source');
    return lackingOf(result, expected);
  }
  const { source: living } = pair;
  const whyLeft = async (): Promise<Obstacle> => {
    const how = await howReplaced(living, tables, past);
    /** Where rows of it were there by the manifest. */
    const ofBefore = how === 'reloaded since' ? 'rewritten since' : how === 'dropped since' && tables.isMaybeRenamed ? 'not at the source' : undefined;
    return ofBefore && !await areSinceManifest(pair.copy, copy, range, past) ? ofBefore : how;
  };
  if (!hasSameFile) {
    if (source && await isOfNoTime(pair.copy, living, copy, past)) result.differences.push(differing(manifest, range, expected, rows));
    else leave(rows, await whyLeft());
    return lackingOf(result, expected);
  }
  // Where names have been given to other columns since, values are others'.
  if (!haveSameColumns(copy, source) && await readsOtherwise(pair.copy, living, copy, past)) {
    leave(rows, 'read otherwise since');
    return lackingOf(result, expected);
  }
  let compared = 0;
  const old = new RowsOfManifest(tables.hasFileOfManifest === true ? past : undefined);
  const [size, theirSize] = [await measureTable(pair.copy, copy), await ofSource(measureTable(living, source)).catch(whatHinders)];
  if (size === 'moved') throw new Error(`table ${copy.label} changed while the copy was read`);
  const leaveUnread = async (count: number, answer: 'moved' | Obstacle) => leave(count, answer === 'moved' ? await whyLeft() : answer);
  const match = async (part: PageRange, ours: readonly Tuple[], theirs: readonly Tuple[]) => {
    const { same, altered, maybeAltered, missing, untold, changedSince } = await matchTuples(ours, theirs, (xids) => past.judge(xids));
    const differ = altered + maybeAltered;
    const readOtherwise = differ > 0 && await readsOtherwise(pair.copy, living, copy, past) ? differ : 0;
    if (readOtherwise > 0) leave(readOtherwise, 'read otherwise since');
    old.add(ours, changedSince);
    compared += ours.length + missing - readOtherwise;
    result.coverage.bySource += same;
    result.coverage.changedSince += changedSince.length;
    result.untold += untold;
    // By itself, a copy writes nothing into a user's table, whatever the number.
    if (differ - readOtherwise + missing > 0) result.differences.push(differing(manifest, part, ours.length + missing, ours.length));
  };
  if (typeof theirSize === 'string') {
    await leaveUnread(rows, theirSize);
    return lackingOf(result, expected);
  }
  const { ofBoth, beyond } = splitRange(range, size, theirSize);
  for (const part of ofBoth ? cutRange(copy, ofBoth, denser(size, theirSize), HELD_BYTES) : []) {
    throwIfAborted(signal);
    const reading = readTuples(pair.copy, copy, part);
    // Whatever the source answers, nobody is to go on over a connection that is still read from.
    const [ours, theirs] = await Promise.all([reading, ofSource(readTuples(living, source, part)).catch(whatHinders).finally(() => reading.catch(() => undefined))]);
    if (ours === 'moved') throw new Error(`table ${copy.label} changed while the copy was read`);
    if (typeof theirs === 'string') await leaveUnread(ours.length, theirs);
    else await match(part, ours, theirs);
  }
  // There the copy has no row: what the source has there it wrote since, however much that is, or the copy has lost it.
  for (const part of beyond ? cutRange(source, beyond, theirSize, HELD_BYTES) : []) {
    throwIfAborted(signal);
    const makers = await ofSource(readMakers(living, source, part)).catch(whatHinders);
    if (typeof makers !== 'string' && await past.areLater(makers)) continue;
    const theirs = typeof makers === 'string' ? makers : await ofSource(readTuples(living, source, part)).catch(whatHinders);
    if (typeof theirs !== 'string') { await match(part, [], theirs); continue; }
    await leaveUnread(0, theirs);
    break;
  }
  const back = old.beyond(expected);
  if (back > 0) result.differences.push(differing(manifest, range, rows - back, rows));
  // How many of them the manifest had in the parts that were left nobody knows: at most all but those of the others.
  return lackingOf(result, expected - compared);
}

/** How many rows the copy has in one range, for which mostly no library is needed; undefined where that takes one, too. */
async function countOf(client: Client, copy: Table, range: PageRange): Promise<number | undefined> {
  try {
    const reading = await readBucket(client, copy, range, 'count');
    return typeof reading === 'string' ? undefined : reading.bucket.rows;
  } catch (error) {
    if (saysNothingOfTheData(error) || libraryTrouble(error) === undefined) throw error;
    return undefined;
  }
}

/**
 * What of a range lies on pages that the copy has, and what beyond its last one; either may be nothing. What the source writes beyond
 * the last page of its own once that was asked for is of after the copy's instant.
 */
function splitRange({ fromPage, toPage }: PageRange, copy: TableSize, source: TableSize): { ofBoth: PageRange | undefined; beyond: PageRange | undefined } {
  const range = (from: number, to: number): PageRange | undefined => (from < to ? { fromPage: from, toPage: to } : undefined);
  return { ofBoth: range(fromPage, Math.min(toPage ?? Infinity, copy.pages)), beyond: range(Math.max(fromPage, copy.pages), Math.min(toPage ?? Infinity, source.pages)) };
}

/** Of which a page holds more: neither server is to read more at once than was meant. */
function denser(one: TableSize, other: TableSize): TableSize {
  return other.pages > 0 && other.bytes * one.pages > one.bytes * other.pages ? other : one;
}

/** Whether all rows of the copy in one range came after the manifest; what was there by then, and is not as it was, may be damaged. */
async function areSinceManifest(client: Client, copy: Table, range: PageRange, past: SharedPast): Promise<boolean> {
  const makers = await readMakers(client, copy, range);
  if (makers === 'moved') throw new Error(`table ${copy.label} changed while the copy was read`);
  return past.areSinceManifest(makers);
}

/** Where rows were left: how many more there were. */
function lackingOf(result: RowsResult, expected: number): RowsResult {
  return result.obstacles.size === 0 ? result : { ...result, lacking: Math.max(0, expected - result.coverage.unknown) };
}

function differing({ schema, name }: TableManifest, range: PageRange, rowsExpected: number, rowsFound: number): Difference {
  return { kind: 'rows', table: `${schema}.${name}`, rowsExpected, rowsFound, buckets: [{ ...range, keyColumn: null, keyFrom: null, keyTo: null, rowsExpected, rowsFound }] };
}

/** Whether the copy has another file of a table than the source had at the copy's instant: somebody else gave it that, as TRUNCATE does. */
async function isOfNoTime(copy: Client, source: Client, { oid }: Table, past: SharedPast): Promise<boolean> {
  const [ours, theirs] = [await classRow(copy, oid), await ofSource(classRow(source, oid))];
  // Written anew since, as by VACUUM FULL, pg_class has each row elsewhere.
  if (!theirs || ours?.catalogFile !== theirs.catalogFile || (ours.place === theirs.place && ours.xmin === theirs.xmin)) return false;
  return mustHave(past, theirs.xmin);
}

/** A result to which others are added with {@link join}; each call makes its own, since that changes it. */
export function nothingYet(): RowsResult {
  return { coverage: { byManifest: 0, bySource: 0, changedSince: 0, unknown: 0 }, lacking: 0, untold: 0, differences: [], obstacles: new Set() };
}

function notKnown(unknown: number, obstacle: Obstacle): RowsResult {
  return { ...nothingYet(), coverage: { ...nothingYet().coverage, unknown }, obstacles: new Set([obstacle]) };
}

/** Adds one result to another. */
export function join(into: RowsResult, other: RowsResult): void {
  for (const name of Object.keys(into.coverage) as (keyof Coverage)[]) into.coverage[name] += other.coverage[name];
  into.lacking += other.lacking;
  into.untold += other.untold;
  for (const difference of other.differences) into.differences.push(difference);
  for (const obstacle of other.obstacles) into.obstacles.add(obstacle);
}
