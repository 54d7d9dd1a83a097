import type { Check } from '../../contracts/evidence.ts';
import type { ComparisonResult, Difference, NotVerified } from '../../contracts/manifest.ts';
import type { NotVerifiedReasons } from '../../contracts/record.ts';

/** More of one kind than this are counted, not listed: evidence is read by people, and a server takes only so much at once. */
const LISTED = 20;

/** A comparison as checks: one that passed, or one for each thing that differs, named so that a person can go and look. */
export function comparisonChecks(result: ComparisonResult): Check[] {
  const { differences, database } = result;
  // Why is among what was not verified.
  if (differences.length === 0 && !result.equal) return [{ name: `contents of ${database}`, outcome: 'skipped', detail: 'nothing was compared' }];
  const uncompared = uncomparedChecks(result);
  if (differences.length === 0 && hasComparedNoRow(result)) return [{ name: `contents of ${database}`, outcome: 'skipped', detail: `not one of the rows was compared: ${whatIsEqual(result)}` }, ...uncompared];
  if (differences.length === 0) return [{ name: `${result.compared.tables === 0 && result.counted.tables > 0 ? 'definitions and counts' : 'contents'} of ${database}`, outcome: 'passed', detail: whatIsEqual(result) }, ...uncompared];
  const listed = differences.slice(0, LISTED).map((difference): Check => ({ ...describe(difference), outcome: 'failed' }));
  if (differences.length > LISTED) listed.push({ name: `contents of ${database}`, outcome: 'failed', detail: `and ${differences.length - LISTED} more differences` });
  return [...listed, ...uncompared];
}

/** Rows there are, and none of them was held against anything. */
function hasComparedNoRow({ coverage, uncompared = [] }: ComparisonResult): boolean {
  return coverage !== undefined && coverage.byManifest + coverage.bySource === 0 && uncompared.length > 0;
}

/** Each table with rows of which none was compared, as a check without an answer. Why is among what was not verified. */
function uncomparedChecks({ database, uncompared = [] }: ComparisonResult): Check[] {
  const listed = uncompared.slice(0, LISTED).map(({ table, rows }): Check => ({ name: `table ${table}`, outcome: 'skipped', detail: rows === 0 ? 'its rows were not compared' : `none of its ${rows} rows was compared` }));
  if (uncompared.length > LISTED) listed.push({ name: `contents of ${database}`, outcome: 'skipped', detail: `and ${uncompared.length - LISTED} more tables of which no row was compared` });
  return listed;
}

/** No more than was compared. */
function whatIsEqual({ compared, counted, lsn, coverage, takenAt }: ComparisonResult): string {
  if (coverage) {
    const { byManifest, bySource, changedSince, unknown } = coverage;
    return `${byManifest + bySource} of ${byManifest + bySource + changedSince + unknown} rows are exactly as they were: ${byManifest} in ranges that nobody touched since the manifest of ${takenAt}, ${bySource} as the source still has them; ${changedSince} the source has changed since${unknown === 0 ? '' : `, and ${unknown} could be held against neither`}; ${compared.catalogObjects} definitions and ${compared.sequences} sequences`;
  }
  const rows = compared.tables > 0 || counted.tables === 0 ? `${compared.rows} rows in ${compared.tables} tables, ` : '';
  const equal = `${rows}${compared.catalogObjects} definitions and ${compared.sequences} sequences are as at ${lsn}`;
  return counted.tables === 0 ? equal : `${equal}; ${counted.rows} rows in ${counted.tables} tables are as many as there, and were not compared`;
}

/**
 * What a manifest or a comparison left out, as sentences: the first of each kind in each database, and how many more there
 * are. A plan and a record carry them, and a database may have tens of thousands of unlogged tables.
 */
export function reasonsOf(entries: readonly NotVerified[]): NotVerifiedReasons {
  return { open: sentencesOf(entries.filter(({ byDesign }) => !byDesign)), byDesign: sentencesOf(entries.filter(({ byDesign }) => byDesign)) };
}

function sentencesOf(entries: readonly NotVerified[]): string[] {
  const kinds = new Map<string, NotVerified[]>();
  for (const entry of entries) {
    const kind = JSON.stringify([entry.database, entry.why]);
    const alike = kinds.get(kind);
    if (alike) alike.push(entry);
    else kinds.set(kind, [entry]);
  }
  return [...kinds.values()].flatMap((alike) => {
    const sentences = alike.slice(0, LISTED).map(({ database, what, why }) => `${within(database)}${what}: ${why}`);
    const [first] = alike;
    return first && alike.length > LISTED ? [...sentences, `${within(first.database)}and ${alike.length - LISTED} more like the last one: ${first.why}`] : sentences;
  });
}

function within(database: string | null): string {
  return database === null ? '' : `${database}, `;
}

function describe(difference: Difference): { name: string; detail: string } {
  switch (difference.kind) {
    case 'rows': {
      const ranges = difference.buckets.slice(0, 3).map((bucket) => {
        const pages = `pages ${bucket.fromPage} to ${bucket.toPage ?? 'the end'}`;
        const keys = bucket.keyColumn === null || bucket.keyFrom === null ? '' : `, ${bucket.keyColumn} ${bucket.keyFrom} to ${bucket.keyTo}`;
        return `${pages}${keys} (${bucket.rowsExpected} rows expected, ${bucket.rowsFound} found)`;
      });
      const counts = difference.rowsExpected === difference.rowsFound ? `${difference.rowsFound} rows as expected, but their contents differ` : `${difference.rowsExpected} rows expected, ${difference.rowsFound} found`;
      return { name: `table ${difference.table}`, detail: `${counts}: ${ranges.join('; ')}` };
    }
    case 'unreadable':
      return { name: `table ${difference.table}`, detail: `cannot be read (${difference.code}): ${difference.message}` };
    case 'catalog':
      return { name: `${difference.object} ${difference.identity}`, detail: `${difference.change} in the restored database` };
    case 'sequence':
      return { name: `sequence ${difference.sequence}`, detail: describeSequence(difference) };
  }
}

function describeSequence({ problem, expectedAtLeast, found, code }: Extract<Difference, { kind: 'sequence' }>): string {
  if (problem === 'unreadable') return `cannot be read (${code ?? 'no reason given'})`;
  if (problem === 'unlogged') return 'is UNLOGGED in the restored database, where it starts anew, and was not so at the source';
  const what = { missing: 'is missing', behindItself: 'is behind its own last value', behindTable: 'is behind its table' }[problem];
  return `${what}: ${expectedAtLeast === null ? '' : `${expectedAtLeast} or one after it expected, `}${found ?? 'nothing'} found`;
}
