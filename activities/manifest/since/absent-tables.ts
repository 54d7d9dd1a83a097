import type { Client } from 'pg';
import type { Difference, NotVerified, TableManifest } from '../../../contracts/manifest.ts';
import { keyOf } from '../table-locks.ts';
import type { Lacks } from './catalog-rows.ts';
import { AGAIN, CATALOG_SILENT, PERHAPS_LOST } from './not-compared.ts';
import { ofSource } from './of-source.ts';
import { relationsOf, type Relation } from './relations.ts';
import { mustHave, type SharedPast } from './shared-past.ts';

/** What is asked where the copy lacks a table; `past` tells what the source had by the copy's instant. */
export interface AbsentOptions {
  copy: Client;
  source: Client;
  past: SharedPast;
  database: string;
  /** Whether the copy lacks rows of the catalog; asked where nothing else tells. */
  lacksRows: () => Promise<Lacks>;
}

/** What is said of one table: lost; that another is, of which the manifest does not say what it held; or why not, and whether that is so by design. */
type Said = 'lost' | { missing: Relation } | { why: string; byDesign: boolean };

const GONE = 'neither the copy nor the source has a table of this name: the source has dropped or renamed it since the manifest; whether by the instant of the copy, nothing tells any more';
const ANEW = 'the source has another one of this name by now, and the copy has none: the one of the manifest was dropped; whether by the instant of the copy, nothing tells any more';
const TAKEN = 'the source has dropped or renamed it since the manifest, and what the copy has of this name is another one, or no table with rows of its own';
const ANEW_IN_BOTH = 'the source has another one of this name by now, and so has the copy: the one of the manifest was dropped by the instant of the copy';
const EMPTY = 'without contents: it was UNLOGGED, or a materialized view WITH NO DATA, by the instant of the copy';

/**
 * What tables of the manifest say of a copy in which nothing of them has contents. A table keeps its number under each name and until
 * it is dropped: what the source still has under the number of the manifest it had at the copy's instant, so that the copy must have it, by
 * whatever name. What it has under another number it made since, and the copy must have that where it did so by that instant.
 * @param of `absent`: neither by number nor by name among what can be compared, but for what is another one of the manifest; `replaced`: the copy
 *   has others of their names, so that it is only asked whether it must have them, too
 */
export async function judgeAbsentTables(options: AbsentOptions, { absent, replaced }: { absent: readonly TableManifest[]; replaced: readonly TableManifest[] }): Promise<{ differences: Difference[]; notVerified: NotVerified[] }> {
  const { copy, source, database } = options;
  const result: { differences: Difference[]; notVerified: NotVerified[] } = { differences: [], notVerified: [] };
  const all = [...absent, ...replaced];
  if (all.length === 0) return result;
  const theirs = await ofSource(relationsOf(source, all));
  const ours = await relationsOf(copy, [...all, ...theirs.byName.values()]);
  const say = ({ schema, name }: { schema: string; name: string }, rows: number, said: Said): void => {
    if (said === 'lost') result.differences.push({ kind: 'rows', table: `${schema}.${name}`, rowsExpected: rows, rowsFound: 0, buckets: [] });
    else if ('missing' in said) result.differences.push({ kind: 'catalog', object: OBJECTS[said.missing.kind] ?? 'table', identity: said.missing.label, change: 'missing' });
    else result.notVerified.push({ database, what: `contents of ${schema}.${name}`, ...said });
  };
  for (const { oid, rows } of replaced) {
    const kept = oid === undefined ? undefined : theirs.byNumber.get(oid);
    if (kept && !ours.byNumber.has(kept.oid)) say(kept, rows, await judgeKept(options, kept));
  }
  for (const table of absent) {
    const { oid, rows } = table;
    const [here, there] = [ours.byName.get(keyOf(table)), theirs.byName.get(keyOf(table))];
    const said = oid !== undefined ? await judge(options, { here, there, moved: ours.byNumber.get(oid), kept: theirs.byNumber.get(oid), hasThat: there !== undefined && ours.byNumber.has(there.oid) }) : isEmpty(here) ? { why: `the copy has it ${EMPTY}`, byDesign: true } : await judgeByName(options, here, there);
    say(table, rows, said);
  }
  return result;
}

/** @param of `here` and `there`: what has its name in the copy and at the source; `moved` and `kept`: what has its number there; `hasThat`: the copy has `there`, by whatever name. */
async function judge(options: AbsentOptions, { here, there, moved, kept, hasThat }: { here: Relation | undefined; there: Relation | undefined; moved: Relation | undefined; kept: Relation | undefined; hasThat: boolean }): Promise<Said> {
  const { source, past, lacksRows } = options;
  if (moved) return { why: `the copy has it ${moved.oid === here?.oid ? '' : `as ${moved.schema}.${moved.name}, `}${EMPTY}`, byDesign: true };
  if (kept) return judgeKept(options, kept);
  if (there === undefined) return judgeByName(options, here, there);
  // One that the copy has is not lost, whenever it got that name.
  if (!hasThat) {
    // By who made it, whatever became of it since: a GRANT of after the copy's instant excuses nothing.
    const made = await ofSource(makerOf(source, there));
    const { shared, untold, ambiguous } = await past.judge(new Set([made]));
    if (shared.has(made)) return { missing: there };
    if (untold.has(made) || ambiguous.has(made)) return { why: SILENT, byDesign: false };
  }
  return byDesignUnless(await lacksRows(), here ? ANEW_IN_BOTH : ANEW);
}

const SILENT = `it is not in the copy, and the source has it; whether it had it by the instant of the copy, ${CATALOG_SILENT}`;
const MAYBE_LOST = `it is not in the copy, and the source has it, but has made or altered it since the instant of the copy: it was dropped by then and made anew, or the copy has lost it; ${AGAIN}`;

/** @param kept what the source has under a number of the manifest that the copy has nothing of. A source of another history may have given that to another one. */
async function judgeKept({ source, past }: AbsentOptions, kept: Relation): Promise<Said> {
  if (past.hasReachedManifest) return 'lost';
  // A copy of before the manifest need not have had it yet.
  return await mustHave(past, await ofSource(makerOf(source, kept))) ? { missing: kept } : { why: NUMBERED, byDesign: false };
}

/** Of `relkind`, as identities of definitions are told apart; all else is a table, also one of what is TOASTed. */
const OBJECTS: Readonly<Record<string, string>> = { v: 'view', m: 'materialized view', S: 'sequence', i: 'index', I: 'index', f: 'foreign table', c: 'composite type' };

/** Which transaction made a relation: its row in `pg_class` is of what altered it last, and that of its first column, which tables have below those of users, is as it was then. */
async function makerOf(client: Client, { oid, xmin }: Relation): Promise<number> {
  const { rows: [row] } = await client.query<{ made: string }>('SELECT xmin::text AS made FROM pg_attribute WHERE attrelid = $1 ORDER BY attnum LIMIT 1', [oid]);
  return row ? Number(row.made) : xmin;
}

const NUMBERED = `it is not in the copy, and the source has one of its number: that one, which the copy has lost, or another, made since the instant of the copy; ${AGAIN}`;

/** Where the manifest does not say which one it means, or nothing else tells. */
async function judgeByName({ lacksRows }: AbsentOptions, here: Relation | undefined, there: Relation | undefined): Promise<Said> {
  const lacks = await lacksRows();
  if (there === undefined) return byDesignUnless(lacks, here ? TAKEN : GONE);
  if (lacks === 'yes') return 'lost';
  return { why: lacks === 'untold' ? SILENT : MAYBE_LOST, byDesign: false };
}

/** What the copy has by no name it may have lost, where it lacks something of the catalog at all. */
function byDesignUnless(lacks: Lacks, why: string): Said {
  return lacks === 'yes' ? { why: `${why}; ${PERHAPS_LOST}`, byDesign: false } : { why, byDesign: true };
}

function isEmpty(relation: Relation | undefined): boolean {
  return relation !== undefined && (relation.persistence === 'u' || relation.kind === 'm');
}
