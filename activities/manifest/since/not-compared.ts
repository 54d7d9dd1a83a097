import type { ComparisonResult, NotVerified } from '../../../contracts/manifest.ts';
import type { Obstacle, RowsResult } from './compare-rows.ts';

/** What became of one table's rows. */
export interface TableRows extends RowsResult { name: string }

/** Why something in the copy could not be read, and what to do. */
export const COPY_NOT_READABLE = 'the user as whom the copy is read may not read it there (the master user, on RDS); grant that user what connection.user may read, at the source';

const WHY: Readonly<Record<Obstacle, string>> = {
  'no source': 'they are not as the manifest has them, and no source answers that could say whether they were changed since',
  'not at the source': 'the source has dropped or renamed the table since, so that nothing is left to hold them against',
  'another file': 'the source has rewritten or altered the table since (VACUUM FULL, CLUSTER, TRUNCATE, pg_repack, REFRESH, ALTER TABLE), so that its rows stand elsewhere, or are others; drill again with a manifest and a recovery point from after that',
  'refreshed since': 'the source has refreshed this materialized view since the instant of the copy, so that its rows are others: what they are derived from is compared, and so is its definition',
  'reloaded since': 'the source has put other rows in the place of all that were there at the instant of the copy (TRUNCATE, or ALTER TABLE that rewrites), so that nothing has them any more to compare with',
  'dropped since': 'the table was made after the manifest, and the source has dropped it since, so that nothing is left to hold them against',
  'copy not readable': COPY_NOT_READABLE,
  'source not readable': 'connection.user may not read the table at the source; grant it that',
};
/** What can be so in every drill, and that no other time and no other right would change. */
const BY_DESIGN: ReadonlySet<Obstacle> = new Set<Obstacle>(['refreshed since', 'reloaded since', 'dropped since']);
const TOO_MUCH = 'and these are more rows than were compared in the whole database; drill with a manifest and a recovery point from after that, or, where they are put there all the time and need not be restored, make the table UNLOGGED';
const CHANGED_SINCE = 'the source has changed or deleted each of them since the instant of the copy, so that nothing has them any more to compare with';

/**
 * Rows of which nothing is known, table by table. What could have been compared at another time, or with other rights, is open. A
 * table whose every row was changed since, as one that holds the last heartbeat, is so in every drill: that is by design, unless
 * nothing of the whole database was compared; and so is one that was refreshed, reloaded or dropped. Of what was reloaded there
 * may be no more than was compared: that many rows are rather an application's data, changed once, than what is staged each day.
 */
export function rowsNotVerified(database: string, tables: readonly TableRows[]): NotVerified[] {
  const compared = tables.reduce((sum, table) => sum + comparedOf(table), 0);
  const reloaded = tables.filter(({ obstacles }) => obstacles.has('reloaded since')).reduce((sum, { coverage }) => sum + coverage.unknown, 0);
  const isTooMuch = (obstacle: Obstacle) => obstacle === 'reloaded since' && reloaded > compared;
  const entries = tables.flatMap((table): NotVerified[] => {
    const { name, coverage, obstacles } = table;
    const rows = rowsOf(table);
    const left = [...obstacles].map((obstacle): NotVerified => ({ database, what: coverage.unknown === 0 ? `contents of ${name}` : `${coverage.unknown} of ${rows} rows of ${name}`, why: isTooMuch(obstacle) ? `${WHY[obstacle]}; ${TOO_MUCH}` : WHY[obstacle], byDesign: BY_DESIGN.has(obstacle) && !isTooMuch(obstacle) }));
    if (left.length > 0 || rows === 0 || comparedOf(table) > 0) return left;
    return [{ database, what: `all ${rows} rows of ${name}`, why: CHANGED_SINCE, byDesign: true }];
  });
  const rows = tables.reduce((sum, table) => sum + rowsOf(table), 0);
  if (rows === 0 || compared > 0) return entries;
  return [...entries, { database, what: 'contents of tables', why: `not one of the ${rows} rows could be compared; take manifests oftener, and drill a recovery point from soon after one`, byDesign: false }];
}

/** Tables with rows of which not one was compared. */
export function uncomparedTables(tables: readonly TableRows[]): NonNullable<ComparisonResult['uncompared']> {
  return tables.filter((table) => comparedOf(table) === 0 && (rowsOf(table) > 0 || table.obstacles.size > 0) && table.differences.length === 0).map((table) => ({ table: table.name, rows: rowsOf(table) }));
}

function comparedOf({ coverage }: TableRows): number {
  return coverage.byManifest + coverage.bySource;
}

function rowsOf({ coverage }: TableRows): number {
  return Object.values(coverage).reduce((sum, rows) => sum + rows, 0);
}
