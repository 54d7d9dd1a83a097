import type { ComparisonResult, NotVerified } from '../../../contracts/manifest.ts';
import { INSTALL_LIBRARY, libraryTrouble } from '../../postgres/library-trouble.ts';
import { type Obstacle, type RowsResult, type Unloaded, unloaded } from './compare-rows.ts';
import type { SourceUnread } from './of-source.ts';

/** What became of one table's rows; `expected`: how many the manifest has, none where the table was made after it, or is of another database than it means. */
export interface TableRows extends RowsResult { name: string; expected: number }

/** Why something in the copy could not be read, and what to do. */
export const COPY_NOT_READABLE = 'the user as whom the copy is read may not read it there (the master user, on RDS); grant that user what connection.user may read, at the source';

/** Why something in the copy could not even be waited for, and what to do. */
export const LOCKED_IN_COPY = 'a prepared transaction that came with the copy has it locked for good; settle that at the source (COMMIT PREPARED, ROLLBACK PREPARED), and drill a recovery point from after that';

/** Why it is not known whether what the source has was lost, and what to do. */
const UNTOLD = 'nobody can tell whether the copy must have them: they are of transactions that were begun after the manifest or under way then, and no times of commits (track_commit_timestamp) that the source and the copy keep say whether these were committed by the instant of the copy; set track_commit_timestamp = on at the source, and drill a recovery point from after that';

/** Why the catalog of the source does not say whether the copy has lost something of it. */
export const CATALOG_SILENT = 'the catalog there does not tell: it was written anew since, or no times of commits (track_commit_timestamp) tell of what made that which the copy lacks';

/** Ends sentences on what only time settles: what changed since the manifest is known to the next one. */
export const AGAIN = 'drill again with a manifest and a recovery point from after that';

/** Why what the source has no more is not surely there rightly no more. */
export const PERHAPS_LOST = `and the copy lacks something of the catalog that the source has kept, which may be what it was renamed to; ${AGAIN}`;

const WHY: Readonly<Record<Exclude<Obstacle, SourceUnread | Unloaded>, string>> = {
  'no source': 'they are not as the manifest has them, and there is no source of them that could say whether they were changed since',
  'locked at the source': 'somebody had the table locked at the source for longer than manifest.lockTimeout each time that it was asked for; drill again once it is free',
  'not at the source': 'the source has dropped or renamed the table since, or made it UNLOGGED, so that nothing is left to hold them against',
  'another file': `the source has rewritten or altered the table since (VACUUM FULL, CLUSTER, TRUNCATE, pg_repack, REFRESH, ALTER TABLE), so that its rows stand elsewhere, or are others; ${AGAIN}`,
  'refreshed since': 'the source has refreshed this materialized view since the instant of the copy, so that its rows are others: it can be made again by REFRESH from what it is derived from, and that was compared as far as this evidence says',
  'reloaded since': 'the source has written all rows of the table anew since the instant of the copy (TRUNCATE and a load, ALTER TABLE that rewrites, pg_repack), so that nothing is left to hold these against',
  'rewritten since': `the source has written all rows of the table anew since the instant of the copy (ALTER TABLE that rewrites, pg_repack, TRUNCATE and a load), so that nothing is left to hold these against; and not all of them came after the manifest, as far as that tells, so that the table is not loaded anew all the time, and these may be damaged; ${AGAIN}`,
  'read otherwise since': `the source has changed since the instant of the copy how values of the table are read (ALTER TYPE … RENAME VALUE, columns of a composite type, DROP COLUMN and ADD COLUMN of one name), so that the same row says something else there; ${AGAIN}`,
  'locked in the copy': LOCKED_IN_COPY,
  'dropped since': 'the table was made after the manifest, and the source has dropped it since, so that nothing is left to hold them against',
  'copy not readable': COPY_NOT_READABLE,
  'source not readable': 'connection.user may not read the table at the source; grant it that',
};
const SOURCE_UNREAD = 'production may be damaged there: look at its log, and drill an older recovery point';

function whyOf(obstacle: Obstacle): string {
  if (isUnloaded(obstacle)) return `${obstacle}: ${INSTALL_LIBRARY}, and drill again`;
  return isUnread(obstacle) ? `${obstacle}: ${SOURCE_UNREAD}` : WHY[obstacle];
}

/** Why something is not known that needs a library which the server of the copy cannot load, and what to do. */
export function whyUnloaded(said: string): string {
  return whyOf(unloaded(said));
}

/** Why a database of the copy cannot be entered by who reads it, where it is not damaged. */
export function whyClosed(refusal: Error): string {
  const said = libraryTrouble(refusal);
  return said === undefined ? `${COPY_NOT_READABLE} (${refusal.message})` : whyUnloaded(said);
}

function isUnloaded(obstacle: Obstacle): obstacle is Unloaded {
  return obstacle.startsWith(unloaded('').slice(0, -1));
}

function isUnread(obstacle: Exclude<Obstacle, Unloaded>): obstacle is SourceUnread {
  return !(obstacle in WHY);
}

/** What can be so in every drill, and that no other time and no other right would change. */
const BY_DESIGN: ReadonlySet<Obstacle> = new Set<Obstacle>(['refreshed since', 'reloaded since', 'dropped since']);
const FEWER = `and the copy has fewer rows of it than the manifest, so that some may be lost; ${AGAIN}`;
const NOT_ALL = `and others of its rows are as they were, so that it is not loaded anew all the time, and these may be damaged; ${AGAIN}`;
const TOO_MUCH = 'and these are more rows than were compared in the whole database; drill with a manifest and a recovery point from after that, or, where they are put there all the time and need not be restored, make the table UNLOGGED';
const CHANGED_SINCE = 'the source has changed or deleted each of them since the instant of the copy, so that nothing has them any more to compare with';

/**
 * Rows of which nothing is known, table by table. What could have been compared at another time, or with other rights, is open. A
 * table whose every row was changed since, as one that holds the last heartbeat, is so in every drill: that is by design, unless
 * nothing of the whole database was compared; and so is one that was refreshed, reloaded or dropped. Of what was reloaded not a row
 * may be as it was, nor of before the manifest, nor fewer there than the manifest has, nor more, in the manifest or in the copy, than was compared in the whole
 * database: else it is rather an application's data, changed once or lost, than what is staged each day.
 */
export function rowsNotVerified(database: string, tables: readonly TableRows[]): NotVerified[] {
  const compared = tables.reduce((sum, table) => sum + comparedOf(table), 0);
  const reloaded = tables.filter(({ obstacles }) => obstacles.has('reloaded since')).reduce((sum, { coverage, lacking }) => sum + coverage.unknown + lacking, 0);
  /** Why even this is open; undefined where it is not. */
  const openBecause = (table: TableRows, obstacle: Obstacle): string | undefined => {
    if (obstacle !== 'reloaded since') return undefined;
    return rowsOf(table) < table.expected ? FEWER : comparedOf(table) > 0 ? NOT_ALL : reloaded > compared ? TOO_MUCH : undefined;
  };
  const entries = tables.flatMap((table): NotVerified[] => {
    const { name, obstacles } = table;
    const rows = rowsOf(table);
    const untold: NotVerified[] = table.untold === 0 ? [] : [{ database, what: `${table.untold} rows of ${name} that the source has, and the copy has not`, why: UNTOLD, byDesign: false }];
    const left = [...obstacles].filter((obstacle) => obstacle !== 'reloaded since' || !obstacles.has('rewritten since')).map((obstacle): NotVerified => {
      const because = openBecause(table, obstacle);
      return { database, what: whatIsLeft(table), why: because === undefined ? whyOf(obstacle) : `${whyOf(obstacle)}; ${because}`, byDesign: BY_DESIGN.has(obstacle) && because === undefined };
    });
    if (left.length > 0 || rows === 0 || comparedOf(table) > 0) return [...untold, ...left];
    return [...untold, { database, what: `all ${rows} rows of ${name}`, why: CHANGED_SINCE, byDesign: true }];
  });
  const rows = tables.reduce((sum, table) => sum + rowsOf(table) + table.lacking, 0);
  if (rows === 0 || compared > 0) return entries;
  return [...entries, { database, what: 'contents of tables', why: `not one of the ${rows} rows could be compared; take manifests oftener, and drill a recovery point from soon after one`, byDesign: false }];
}

function whatIsLeft(table: TableRows): string {
  const { name, coverage: { unknown }, lacking } = table;
  if (unknown + lacking === 0) return `contents of ${name}`;
  return `${unknown} of ${rowsOf(table)} rows of ${name}${lacking === 0 ? '' : `, where the manifest has ${lacking} more`}`;
}

/** Tables with rows of which not one was compared. */
export function uncomparedTables(tables: readonly TableRows[]): NonNullable<ComparisonResult['uncompared']> {
  return tables.filter((table) => comparedOf(table) === 0 && (rowsOf(table) + table.untold > 0 || table.obstacles.size > 0) && table.differences.length === 0).map((table) => ({ table: table.name, rows: rowsOf(table) }));
}

function comparedOf({ coverage }: TableRows): number {
  return coverage.byManifest + coverage.bySource;
}

function rowsOf({ coverage }: TableRows): number {
  return Object.values(coverage).reduce((sum, rows) => sum + rows, 0);
}
