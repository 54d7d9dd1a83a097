import type { Client } from 'pg';
import type { Bucket, ComparisonResult, DatabaseManifest, Difference, Manifest, NotVerified, TableManifest } from '../../../contracts/manifest.ts';
import { databaseIn } from '../compare-manifest.ts';
import { databaseNumber } from '../database-number.ts';
import { lockedByPrepared } from '../exclusive-locks.ts';
import type { ReadProgress } from '../read-tables.ts';
import { Sessions, throwIfAborted, type Connect, type SessionLimits } from '../session.ts';
import { listTables, type Table } from '../tables.ts';
import { WorkQueue } from '../work-queue.ts';
import { judgeAbsentTables } from './absent-tables.ts';
import { databaseLost, isClosedToUs, namesakeOf, openIfThere, openSame } from './absent-database.ts';
import { CatalogDamage, unreadableCatalog } from './catalog-damage.ts';
import { lacksCatalogRows, type CatalogRows, type Extent } from './catalog-rows.ts';
import { compareRows, join, nothingYet, type Pair, type RowsResult, type TableOfAll } from './compare-rows.ts';
import { compareDefinitions, type DefinitionsOptions, type DefinitionsResult } from './definitions.ts';
import { LockedTables, type Before } from './locked-tables.ts';
import { CATALOG_SILENT, COPY_NOT_READABLE, rowsNotVerified, uncomparedTables, whyClosed, type TableRows } from './not-compared.ts';
import { isOfBefore } from './of-before.ts';
import { ofSource } from './of-source.ts';
import { otherHistory, RESTORED_SINCE } from './other-history.ts';
import { byNumberOrName, tableNumbers } from './relations.ts';
import { compareSequencesSince } from './sequences-since.ts';
import { sharedPast, type SharedPast } from './shared-past.ts';
import { unloggedSince } from './unlogged-since.ts';

/** Copy, source and manifest. The source is production: it is read within `limits`, the copy without any. */
export interface CompareSinceOptions {
  /** The copy: physical, opened for writing, at some instant after the manifest. */
  connect: Connect;
  /** Its living source; null where that does not answer. */
  source: { connect: Connect; limits: SessionLimits } | null;
  manifest: Manifest;
  database: string;
  /** Pairs of connections that read at the same time, one of each pair on the source. */
  connections: number;
  depth: 'quick' | 'standard';
  applicationName: string;
  signal: AbortSignal;
  onProgress?: (progress: ReadProgress & { phase: 'catalog' | 'tables' }) => void;
}

const NO_LIMITS = { statementTimeoutMs: 0, lockTimeoutMs: 60_000 };

/**
 * Compares a copy that could not be stopped at its manifest, as a managed service restores it: some time has passed between
 * the two, in which people wrote. Ranges of pages that nobody touched must be as the manifest has them, to the last bit. Of the
 * others, each version of a row that the source still has must be the same there. What was changed after the copy's instant cannot
 * be compared, and is counted. Reads only.
 * @throws {ManifestError} `wrongDatabase`, `cancelled`
 */
export async function compareSince(options: CompareSinceOptions): Promise<ComparisonResult> {
  const { manifest, database, signal, applicationName } = options;
  const expected = databaseIn(manifest, database);
  const started = performance.now();
  const damage = new CatalogDamage();
  const copies = new Sessions({ connect: options.connect, applicationName, signal, limits: NO_LIMITS });
  const sources = options.source && new Sessions({ connect: options.source.connect, applicationName, signal, limits: options.source.limits });
  try {
    const copy = await openIfThere(copies, database).catch((error: unknown) => {
      if (isClosedToUs(error)) return error as Error;
      throw error;
    });
    if (copy instanceof Error) return nothingIn(options, expected, copy);
    if (!copy) return await compareWithout({ ...options, damage }, expected, copies, sources);
    const living = sources ? await openIfThere(sources, database) : undefined;
    const standing = await standingOf({ copy, living, manifest, expected, damage });
    if ('why' in standing) return nothingCompared(options, expected, standing.why);
    const { replaced, history, past: shared } = standing;
    const number = await damage.reading(databaseNumber(copy)) ?? expected.oid;
    const isAnew = living !== undefined && replaced === null && number !== undefined && await ofSource(databaseNumber(living)) !== number;
    /** Why nothing can be held against the source; null where it can. */
    const silence = !sources ? 'the source does not answer' : !living ? 'the source has no such database that takes connections' : replaced !== null ? `what answers as the source is cluster ${replaced}` : isAnew ? 'the source has made or renamed the database of this name since' : null;
    const source = silence === null ? living : undefined;
    const pairs = await Promise.all(Array.from({ length: options.connections }, async (): Promise<Pair> => ({ copy: await copies.open(database), source: source && await sources?.open(database) })));
    // Each statement sees what is there by then: no snapshot is held on production. Savepoints need a transaction.
    for (const pair of pairs) for (const client of [pair.copy, pair.source]) await client?.query('BEGIN READ ONLY');
    const serverVersionNum = manifest.serverVersionNum;
    options.onProgress?.({ phase: 'catalog', tablesDone: 0, tablesTotal: expected.tables.length, bytesDone: 0, bytesTotal: 0, rows: 0 });

    const asked = living && shared && { client: living, past: shared };
    const past = source && asked?.past;
    const namesake = expected.oid === undefined || expected.oid === number ? undefined : await damage.reading(namesakeOf(expected, expected.oid, copy, asked, silence ?? ''));
    const forgotten = asked && await damage.reading(asked.past.forgotten()) || [];
    const catalogRows = past && source && catalogRowsOf(damage, copy, source, past);
    const held = source && past ? { client: source, past } : null;
    const because = whyUnknown(silence);
    const locked = await damage.reading(lockedByPrepared(copy)) ?? new Set<number>();
    const defined = [{ ...await compareDefinitions({ copy, source, catalogRows, manifest, expected, of: isAnew ? 'own' : 'database', damage }), because }];
    // What all databases share is that of the source over whatever database.
    if (isAnew && manifest.databases[0] === expected) defined.push({ ...await compareGlobals({ copy, source: living, past: shared, manifest, expected, damage }), because: whyUnknown(null) });
    // Tables, sequences, and files, of a database that was made anew from the same template have the same numbers.
    const isSameDatabase = expected.oid !== undefined && expected.oid === number;
    const sequences = await damage.reading(compareSequencesSince({ copy, source: held, expected, isSameDatabase, locked, because, isOfOtherHistory: history !== null })) ?? { differences: [], notVerified: [], compared: 0 };

    const [ours, theirs] = [await damage.reading(listTables(copy, serverVersionNum)), source && await ofSource(listTables(source, serverVersionNum))];
    const numbers = ours && await damage.reading(tableNumbers(copy)) || new Set<number>();
    const unlogged = await unloggedSince({ copy, source: held, expected, isSameDatabase, numbers, damage, because });
    const tables = ours ? sortTables(expected.tables, { tables: ours.tables, numbers, unlogged: unlogged.tables }, theirs?.tables) : { both: [], absent: [], replaced: [] };
    const isOfManifest = ({ manifest: { oid, filenode }, copy: ofCopy }: TableOfAll): boolean => isSameDatabase && oid === ofCopy.oid && filenode === ofCopy.relfilenode;
    const toRead = tables.both.map((table) => ({ ...table, hasFileOfManifest: isOfManifest(table), isLockedInCopy: locked.has(table.copy.oid), isOfAnother: expected.oid !== undefined && !isSameDatabase }));
    const { tables: byTable, ...rows } = await readAll({ pairs, tables: options.depth === 'standard' ? toRead : [], past, lockedAtSource: new LockedTables(2 * (options.source?.limits.lockTimeoutMs ?? 0), signal), signal, onProgress: (progress) => options.onProgress?.({ phase: 'tables', ...progress }) });

    const absent = source && past && catalogRows && await damage.reading(judgeAbsentTables({ copy, source, past, database, lacksRows: async () => (await catalogRows('database')).lacks }, tables));
    const prepared = await damage.reading(copy.query<{ gid: string }>('SELECT gid FROM pg_prepared_xacts WHERE database = current_database() ORDER BY gid'));
    const differences = eachOnce([...damage.differences, ...whatWasForgotten(forgotten), ...namesake?.differences ?? [], ...defined.flatMap((one) => one.differences), ...sequences.differences, ...absent?.differences ?? [], ...unlogged.differences, ...rows.differences]);
    const open = (why: string) => (what: string): NotVerified => ({ database, what, why, byDesign: false });
    return {
      database, lsn: expected.lsn, depth: options.depth, equal: differences.length === 0, differences,
      notVerified: [
        ...manifest.notVerified.filter((entry) => entry.database === null || entry.database === database),
        ...notJudged(database, history),
        ...namesake?.notVerified ?? [],
        ...defined.flatMap((one) => definitionsNotVerified(database, one, one.because)),
        ...sequences.notVerified,
        ...rowsNotVerified(database, byTable),
        ...absent?.notVerified ?? [],
        ...(absent ? [] : tables.absent).map(({ schema, name }) => `contents of ${schema}.${name}`).map(open(`it is not in the copy, ${source ? 'the catalog of which cannot be read' : because}`)),
        ...unlogged.notVerified,
        ...(ours ? [] : ['contents of tables'].map(open('the catalog of the copy cannot be read'))),
        ...(options.depth === 'quick' ? ['contents of tables'].map(open('depth quick compares the catalog only')) : []),
      ],
      compared: { tables: options.depth === 'standard' ? tables.both.length : 0, rows: rows.coverage.byManifest + rows.coverage.bySource, bytes: tables.both.reduce((sum, one) => sum + one.manifest.bytes, 0), buckets: tables.both.reduce((sum, one) => sum + one.manifest.buckets.length, 0), catalogObjects: defined.reduce((sum, one) => sum + one.compared, 0), sequences: sequences.compared },
      counted: { tables: 0, rows: 0 }, coverage: rows.coverage, uncompared: uncomparedTables(byTable), takenAt: expected.takenAt,
      preparedTransactions: (prepared?.rows ?? []).map(({ gid }) => gid),
      durationMs: performance.now() - started,
    };
  } catch (error) {
    throwIfAborted(signal);
    throw error;
  } finally {
    await Promise.all([copies.closeAll(), sources?.closeAll()]);
  }
}

/** Which cluster a server is, where that is not the one; else null. */
async function ofAnother(cluster: string, server: Client): Promise<string | null> {
  const { rows: [row] } = await server.query<{ id: string }>('SELECT system_identifier::text AS id FROM pg_control_system()');
  return row === undefined || row.id === cluster ? null : row.id;
}

function nothingCompared({ database, depth }: CompareSinceOptions, { lsn, takenAt }: DatabaseManifest, why: string): ComparisonResult {
  return {
    database, lsn, depth, equal: false, differences: [], notVerified: [{ database, what: 'contents and definitions', why, byDesign: false }], compared: { tables: 0, rows: 0, bytes: 0, buckets: 0, catalogObjects: 0, sequences: 0 },
    counted: { tables: 0, rows: 0 }, coverage: nothingYet().coverage, takenAt, preparedTransactions: [], durationMs: 0,
  };
}

/** Of a database of the copy that cannot be entered: for a right that who reads it lacks, for a library that it says to load, or for damage. */
function nothingIn(options: CompareSinceOptions, expected: DatabaseManifest, refusal: Error): ComparisonResult {
  const damage = unreadableCatalog(refusal);
  return damage ? { ...nothingCompared(options, expected, 'the catalog of the copy cannot be read'), differences: [damage] } : nothingCompared(options, expected, whyClosed(refusal));
}

/**
 * How copy, source and manifest stand to each other, or why the manifest says nothing of the copy. `replaced`: which other cluster answers as the
 * source, `history`: how the source shows that it has another one than the manifest; null where they do not. `past`: where the source is that of the manifest.
 */
async function standingOf({ copy, living, manifest, expected, damage }: { copy: Client; living: Client | undefined; manifest: Manifest; expected: DatabaseManifest; damage: CatalogDamage }): Promise<{ why: string } | { replaced: string | null; history: string | null; past: SharedPast | undefined }> {
  const other = await damage.reading(ofAnother(manifest.systemIdentifier, copy)) ?? null;
  // Nothing of another cluster is like this one's, and all of it would be taken for changed since.
  if (other !== null) return { why: ofOtherCluster(other, manifest) };
  const replaced = living ? await ofAnother(manifest.systemIdentifier, living) : null;
  const source = replaced === null ? living : undefined;
  const history = source ? await otherHistory(source, manifest, expected) : null;
  // What the manifest has and the copy has not, the copy never had. Of another history its numbers and positions say nothing.
  if (history === null && await damage.reading(isOfBefore(copy, expected))) return { why: ofBefore(expected) };
  return { replaced, history, past: source && await damage.reading(sharedPast(copy, source, history === null ? expected.transactions : undefined)) };
}

/** Of a database that nobody can connect to in the copy: whether it was lost. What all databases share is compared all the same. */
async function compareWithout(options: CompareSinceOptions & { damage: CatalogDamage }, expected: DatabaseManifest, copies: Sessions, sources: Sessions | null): Promise<ComparisonResult> {
  const { manifest, database, damage } = options;
  const others = [...new Set([...manifest.databases.map(({ database: name }) => name), 'postgres'])].filter((name) => name !== database);
  const same = await openSame(copies, sources, others);
  if (!same) return nothingCompared(options, expected, 'no database of the copy takes connections, or none lets in who reads it');
  const { copy, source: living } = same;
  const standing = await standingOf({ copy, living, manifest, expected, damage });
  if ('why' in standing) return nothingCompared(options, expected, standing.why);
  const { replaced, history, past } = standing;
  const source = replaced === null ? living : undefined;
  const silence = replaced !== null ? `what answers as the source is cluster ${replaced}` : sources ? 'the copy and the source have no database in common that takes connections' : 'the source does not answer';
  const lost = await damage.reading(databaseLost(expected, manifest, copy, source && past && { client: source, past }, silence)) ?? { differences: [], notVerified: [] };
  const result = nothingCompared(options, expected, '');
  const definitions = manifest.databases[0] === expected ? await compareGlobals({ copy, source, past, manifest, expected, damage }) : undefined;
  return {
    ...result, differences: [...damage.differences, ...lost.differences, ...definitions?.differences ?? []],
    notVerified: [...notJudged(database, history), ...lost.notVerified, ...(definitions ? definitionsNotVerified(database, definitions, whyUnknown(source ? null : silence)) : [])],
    compared: { ...result.compared, catalogObjects: definitions?.compared ?? 0 },
  };
}

/** Over any databases of the two. */
function compareGlobals({ past, ...of }: Omit<DefinitionsOptions, 'catalogRows' | 'of'> & { past: SharedPast | undefined }): Promise<DefinitionsResult> {
  const { copy, source, damage } = of;
  return compareDefinitions({ ...of, catalogRows: past && source && catalogRowsOf(damage, copy, source, past), of: 'globals' });
}

/** What a copy cannot read it has not. Asked for where something is not as it should be only, and once. */
function catalogRowsOf(damage: CatalogDamage, copy: Client, source: Client, past: SharedPast): (extent: Extent) => Promise<CatalogRows> {
  const found = new Map<Extent, Promise<CatalogRows>>();
  const look = async (extent: Extent): Promise<CatalogRows> => await damage.reading(lacksCatalogRows(copy, source, past, extent)) ?? { lacks: 'yes', replaced: new Set() };
  return (extent) => {
    const rows = found.get(extent) ?? look(extent);
    found.set(extent, rows);
    return rows;
  };
}

function ofOtherCluster(other: string, { systemIdentifier }: Manifest): string {
  return `the copy is of cluster ${other}, and the manifest of cluster ${systemIdentifier}: restore what is of the same, or take a manifest of it`;
}

function ofBefore({ takenAt }: DatabaseManifest): string {
  return `the copy is of before the manifest, which was taken at ${takenAt} and says nothing of it: drill a recovery point from after that; where this one was, the copy lacks its end, or the clock of the worker that took the manifest was behind that of the source`;
}

/** @param history how the source shows that it has another one than the manifest; null where it does not */
function notJudged(database: string, history: string | null): NotVerified[] {
  if (history === null) return [];
  return [{ database, what: 'what the manifest alone tells of the past', why: `${history}, so that the copy may rightly lack what the manifest has, and have what that has no more: ${RESTORED_SINCE}`, byDesign: false }];
}

/** @param noSource why there is none; null where there is one */
function whyUnknown(noSource: string | null): string {
  return noSource === null ? `and from what the source has by now: it was changed more than once, or is damaged, and ${CATALOG_SILENT}` : `and ${noSource}, so that nobody knows whether it was changed since`;
}

function definitionsNotVerified(database: string, { unread, unknown, open }: DefinitionsResult, because: string): NotVerified[] {
  return [...unread.map((what) => ({ what, why: COPY_NOT_READABLE })), ...unknown.map((what) => ({ what, why: `differs from the manifest, ${because}` })), ...open].map((entry) => ({ database, ...entry, byDesign: false }));
}

/**
 * Which tables can be compared, which of the manifest the copy has neither by number nor by name, and which it has by name only. Each goes by the
 * name that the copy has it by. Those that are new since the manifest are compared, too, also where they have the name of one that the copy has by another.
 */
function sortTables(expected: readonly TableManifest[], { tables: ours, numbers, unlogged }: { tables: readonly Table[]; numbers: ReadonlySet<number>; unlogged: ReadonlySet<TableManifest> }, theirs: readonly Table[] | undefined) {
  const [known, source] = [byNumberOrName(expected, numbers), theirs && byNumberOrName(theirs)];
  const saysNumbers = expected.every(({ oid }) => oid !== undefined);
  const both = ours.map((copy): TableOfAll => {
    const manifest = known(copy);
    const of = { copy, source: source?.(copy) };
    return manifest ? { ...of, manifest: { ...manifest, schema: copy.schema, name: copy.name }, isNew: false } : { ...of, manifest: emptyManifest(copy), isNew: true, isMaybeRenamed: !saysNumbers };
  });
  const found = new Set([...ours.map(known), ...unlogged]);
  return {
    both: both.toSorted((a, b) => b.manifest.bytes - a.manifest.bytes),
    absent: expected.filter((table) => !found.has(table)),
    replaced: expected.filter((table) => found.has(table) && table.oid !== undefined && !numbers.has(table.oid)),
  };
}

/** Of a table that was made since: nothing of it is as the manifest has it. */
function emptyManifest({ schema, name, method, portable }: Table): TableManifest {
  const bucket: Bucket = { fromPage: 0, toPage: null, rows: 0, fingerprint: '0', keyFrom: null, keyTo: null };
  return { schema, name, rows: 0, fingerprint: '0', method, portable, bytes: 0, keyColumn: null, buckets: [bucket] };
}

/** How much is read by one query where all is as it was. */
const READ_AT_ONCE = 4;

async function readAll({ pairs, tables, past, lockedAtSource, signal, onProgress }: { pairs: readonly Pair[]; tables: readonly TableOfAll[]; past: SharedPast | undefined; lockedAtSource: LockedTables; signal: AbortSignal; onProgress: (progress: ReadProgress) => void }): Promise<RowsResult & { tables: TableRows[] }> {
  const all = nothingYet();
  const byTable: TableRows[] = [];
  const progress: ReadProgress = { tablesDone: 0, tablesTotal: tables.length, bytesDone: 0, bytesTotal: tables.reduce((sum, { manifest }) => sum + manifest.bytes, 0), rows: 0 };
  const queue = new WorkQueue<Pair>();
  for (const table of tables) {
    const { buckets, bytes } = table.manifest;
    const groups = Array.from({ length: Math.ceil(buckets.length / READ_AT_ONCE) }, (_, index) => buckets.slice(index * READ_AT_ONCE, (index + 1) * READ_AT_ONCE));
    let left = groups.length;
    const ofTable: TableRows = { name: `${table.manifest.schema}.${table.manifest.name}`, expected: table.isOfAnother ? 0 : table.manifest.rows, ...nothingYet() };
    byTable.push(ofTable);
    const read = (group: readonly Bucket[], before: Before) => async (pair: Pair): Promise<void> => {
      const result = await lockedAtSource.work(table, before, () => compareRows(pair, table, group, past, signal));
      if ('later' in result) { queue.add([read(group, result.later)]); return; }
      const found = result.done;
      join(all, found);
      join(ofTable, found);
      left -= 1;
      progress.bytesDone += bytes * group.length / buckets.length;
      progress.rows += Object.values(found.coverage).reduce((sum, rows) => sum + rows, 0);
      if (left === 0) progress.tablesDone += 1;
      onProgress({ ...progress });
    };
    queue.add(groups.map((group) => read(group, 'nothing')));
  }
  await queue.run(pairs);
  return { ...all, tables: byTable };
}

/** A table may be missed by its definition and by its number. */
function eachOnce(differences: readonly Difference[]): Difference[] {
  return [...new Map(differences.map((one) => [JSON.stringify(one), one])).values()];
}

/** Transactions that a copy has the times of, and does not count as committed: what they wrote, or deleted, is as if it never was. */
function whatWasForgotten([first, ...more]: readonly number[]): Difference[] {
  return first === undefined ? [] : [{ kind: 'catalog', object: 'transaction', identity: `${first}${more.length === 0 ? '' : ` and ${more.length} more`}`, change: 'missing' }];
}
