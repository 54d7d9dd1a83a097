import type { Client } from 'pg';
import type { Difference, NotVerified, TableManifest } from '../../../contracts/manifest.ts';
import { keyOf } from '../table-locks.ts';
import type { Lacks } from './catalog-rows.ts';
import { AGAIN, CATALOG_SILENT, PERHAPS_LOST } from './not-compared.ts';
import { ofSource } from './of-source.ts';
import { relationsOf, type Relation } from './relations.ts';
import type { SharedPast } from './shared-past.ts';

export interface AbsentOptions {
  copy: Client;
  source: Client;
  past: SharedPast;
  database: string;
  /** Whether the copy lacks rows of the catalog; asked where nothing else tells. */
  lacksRows: () => Promise<Lacks>;
}

/** What is said of one table: lost, or why not, and whether that is so by design. */
type Said = 'lost' | { why: string; byDesign: boolean };

const GONE = 'neither the copy nor the source has a table of this name: the source has dropped or renamed it since the manifest; whether by the instant of the copy, nothing tells any more';
const ANEW = 'the source has made it anew since, and the copy has none of this name: the one of the manifest was dropped; whether by the instant of the copy, nothing tells any more';
const EMPTY = 'the copy has it without contents: it was UNLOGGED, or a materialized view WITH NO DATA, by the instant of the copy';

/**
 * What tables of the manifest say of a copy in which nothing of that name has contents. A table keeps its number under each name and until
 * it is dropped: what the source still has under the number of the manifest it had at the copy's instant, so that the copy must have it, by
 * whatever name. What it has under another number it made since, and the copy must have that where it did so by that instant.
 * @param absent not among what `listTables` lists in the copy
 */
export async function judgeAbsentTables(options: AbsentOptions, absent: readonly TableManifest[]): Promise<{ differences: Difference[]; notVerified: NotVerified[] }> {
  const { copy, source, database } = options;
  const result: { differences: Difference[]; notVerified: NotVerified[] } = { differences: [], notVerified: [] };
  if (absent.length === 0) return result;
  const [ours, theirs] = [await relationsOf(copy, absent), await ofSource(relationsOf(source, absent))];
  for (const table of absent) {
    const { schema, name, oid, rows } = table;
    const [here, there] = [ours.byName.get(keyOf(table)), theirs.byName.get(keyOf(table))];
    const said = oid !== undefined ? await judge(options, oid, { here, there, moved: ours.byNumber.get(oid), kept: theirs.byNumber.get(oid) }) : isEmpty(here) ? { why: EMPTY, byDesign: true } : await judgeByName(options, there);
    if (said === 'lost') result.differences.push({ kind: 'rows', table: `${schema}.${name}`, rowsExpected: rows, rowsFound: 0, buckets: [] });
    else result.notVerified.push({ database, what: `contents of ${schema}.${name}`, ...said });
  }
  return result;
}

/** @param of `here` and `there`: what has its name in the copy and at the source; `moved` and `kept`: what has its number there. */
async function judge(options: AbsentOptions, oid: number, { here, there, moved, kept }: { here: Relation | undefined; there: Relation | undefined; moved: Relation | undefined; kept: Relation | undefined }): Promise<Said> {
  const { past, lacksRows } = options;
  if (moved) return { why: moved.oid === here?.oid ? EMPTY : `the copy has it as ${moved.schema}.${moved.name}: it was renamed since the manifest, and is compared as one that was made since`, byDesign: true };
  // One of before the manifest need not have had it yet.
  if (kept && past.hasReachedManifest) return 'lost';
  if (there === undefined || there.oid === oid) return judgeByName(options, there);
  const { shared, untold, ambiguous } = await past.judge(new Set([there.xmin]));
  if (shared.has(there.xmin) && here?.oid !== there.oid) return 'lost';
  if (untold.has(there.xmin) || ambiguous.has(there.xmin)) return { why: SILENT, byDesign: false };
  return await lacksRows() === 'yes' ? { why: `${ANEW}; ${PERHAPS_LOST}`, byDesign: false } : { why: ANEW, byDesign: true };
}

const SILENT = `it is not in the copy, and the source has it; whether it had it by the instant of the copy, ${CATALOG_SILENT}`;
const MAYBE_LOST = `it is not in the copy, and the source has it, but has made or altered it since the instant of the copy: it was dropped by then and made anew, or the copy has lost it; ${AGAIN}`;

/** Where the manifest does not say which one it means, or nothing else tells. */
async function judgeByName({ lacksRows }: AbsentOptions, there: Relation | undefined): Promise<Said> {
  const lacks = await lacksRows();
  if (there === undefined) return lacks === 'yes' ? { why: `${GONE}; ${PERHAPS_LOST}`, byDesign: false } : { why: GONE, byDesign: true };
  if (lacks === 'yes') return 'lost';
  return { why: lacks === 'untold' ? SILENT : MAYBE_LOST, byDesign: false };
}

function isEmpty(relation: Relation | undefined): boolean {
  return relation !== undefined && (relation.persistence === 'u' || relation.kind === 'm');
}
