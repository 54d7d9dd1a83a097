import type { Client } from 'pg';
import type { DatabaseManifest, NotVerified, SequenceManifest } from '../../../contracts/manifest.ts';
import { byNumber, compareSequences, positionOf, type SequenceDifference, type SequencesComparison } from '../compare-sequences.ts';
import { insufficientPrivilege } from '../errors.ts';
import { COPY_NOT_READABLE, LOCKED_IN_COPY } from './not-compared.ts';
import { ofSource } from './of-source.ts';
import { RESTORED_SINCE } from './other-history.ts';
import { mustHave, type SharedPast } from './shared-past.ts';
import { stateAtSource, UNLOGGED, whyUntold } from './unlogged-since.ts';

/** What is held against what, and what is known already of how far these can be compared. */
export interface SequencesOptions {
  copy: Client;
  /** Null where it does not answer. */
  source: { client: Client; past: SharedPast } | null;
  expected: DatabaseManifest;
  /** Whether the copy surely has the database that the manifest means. */
  isSameDatabase: boolean;
  /** Relations of the copy, by oid, that a prepared transaction has locked for good. */
  locked: ReadonlySet<number>;
  /** Why nobody knows of one that is not as the manifest has it. */
  because: string;
  /** The source has another history than the manifest, as after it was itself restored to an earlier point. */
  isOfOtherHistory: boolean;
}

/** `damage`; what is by design; else why it is open. */
type Judgement = 'damage' | 'startedAnew' | 'dropped' | 'unlogged' | 'ofAnother' | { open: string };
type Differing = SequencesComparison['differing'][number];

const BY_DESIGN = {
  startedAnew: 'it has started anew since the manifest (RESTART, TRUNCATE … RESTART IDENTITY, ALTER SEQUENCE, or DROP and CREATE), so that the manifest does not say where it must stand',
  dropped: 'the source has dropped it since the manifest; whether by the instant of the copy, nothing tells any more',
  ofAnother: 'another database than the manifest means had this name by the instant of the copy, so that the manifest does not say where it must stand',
  unlogged: `${UNLOGGED}, and such a sequence starts anew after a restore, wherever the manifest has it`,
};
const NOT_SEEN = 'is behind where the manifest has it, and nobody could see where it stands at the source, where it was locked or restarted just then, so that it may have been set back there, too; drill again';
/** What is judged by the copy and the source alone. */
const WITHOUT_MANIFEST: ReadonlySet<Differing['difference']['problem']> = new Set(['unreadable', 'unlogged']);
const OTHER_HISTORY: Judgement = { open: `is not as the manifest has it, and ${RESTORED_SINCE}` };

/**
 * Where the sequences of a copy of a later instant stand. A sequence is known by its number, whatever it is called by now. RESTART gives
 * one another file: of a sequence that the source has started anew since the manifest, that does not say where it must stand. `setval`
 * moves back within a file, which nothing tells from damage once the source has gone on.
 */
export async function compareSequencesSince(options: SequencesOptions): Promise<{ differences: SequenceDifference[]; notVerified: NotVerified[]; compared: number }> {
  const { copy, expected, locked, isOfOtherHistory } = options;
  const found = await compareSequences(copy, expected.sequences, locked, byNumber(expected.sequences));
  const judge = found.differing.length > 0 ? await judgeOf(options, found.differing) : undefined;
  const judged: (Differing & { judgement: Judgement })[] = [];
  if (judge) for (const one of found.differing) {
    const judgement = await judge(one);
    judged.push({ ...one, judgement: judgement === 'damage' && isOfOtherHistory && !WITHOUT_MANIFEST.has(one.difference.problem) ? OTHER_HISTORY : judgement });
  }
  const left = (sequence: SequenceManifest, why: string, byDesign = false): NotVerified => ({ database: expected.database, what: positionOf(sequence), why, byDesign });
  return {
    compared: found.compared, differences: judged.flatMap(({ difference, judgement }) => (judgement === 'damage' ? [difference] : [])),
    notVerified: [
      ...judged.flatMap(({ of, judgement }) => {
        if (judgement === 'damage') return [];
        return [typeof judgement === 'string' ? left(of, BY_DESIGN[judgement], true) : left(of, judgement.open)];
      }),
      ...found.locked.map((one) => left(one, LOCKED_IN_COPY)),
      ...found.unknown.map((one) => left(one, 'it was made, restarted, set or locked while the manifest was taken')),
    ],
  };
}

async function judgeOf({ copy, source, expected, isSameDatabase, because }: SequencesOptions, differing: readonly Differing[]): Promise<(one: Differing) => Promise<Judgement>> {
  const open = { open: `is not as the manifest has it, ${because}` };
  // One that was made from the same template has sequences of the same numbers, in files of the same numbers.
  const isAnother = expected.oid !== undefined && !isSameDatabase;
  if (!source) return async ({ difference: { problem, code } }) => {
    if (code === insufficientPrivilege) return { open: COPY_NOT_READABLE };
    // As a page of a table is: there is no source that could say that it was so there, too.
    if (problem === 'unreadable') return 'damage';
    if (problem === 'unlogged') return { open: whyUntold(because) };
    return isAnother && problem.startsWith('behind') ? 'ofAnother' : open;
  };
  const { client, past } = source;
  const whichIs = byNumber(expected.sequences);
  const [ours, theirs] = [await classRows(copy), await ofSource(classRows(client))];
  const [inCopy, atSource] = [whichIs(ours), whichIs(theirs)];
  const [numbersOfCopy, ofNumber] = [new Set(ours.map(({ oid }) => oid)), new Map(theirs.map((row) => [row.oid, row]))];
  // One that people set back, or dropped, since the manifest is so at the source, too.
  const asked = await ofSource(compareSequences(client, differing.map(({ of }) => of), new Set(), whichIs));
  const [alsoThere, unseen] = [new Map(asked.differing.map(({ of, difference }) => [of, difference.problem])), new Set(asked.unknown)];
  const withoutFiles = (one: SequenceManifest): Judgement => (alsoThere.has(one) ? open : unseen.has(one) ? { open: NOT_SEEN } : 'damage');
  /** Of what the source has otherwise than the copy, by this transaction. */
  const byWhom = async (xid: number, since: Judgement): Promise<Judgement> => {
    if (await mustHave(past, xid)) return 'damage';
    return await past.areLater(new Set([xid])) ? since : open;
  };
  /** Of one that the source has, and the copy not, in the place of one that the source has no more. */
  const madeAnew = async (there: ClassRow, since: Judgement): Promise<Judgement> => {
    // Its schema may have been renamed since, which leaves no trace in its row.
    return numbersOfCopy.has(there.oid) ? since : byWhom(there.made, since);
  };
  const ofMissing = async ({ oid }: SequenceManifest, there: ClassRow | undefined): Promise<Judgement> => {
    if (oid === undefined) return there !== undefined && !numbersOfCopy.has(there.oid) && await mustHave(past, there.made) ? 'damage' : open;
    if (there === undefined) return 'dropped';
    // Numbers are not given twice: the source has had this one all the while.
    return there.oid === oid ? 'damage' : madeAnew(there, 'dropped');
  };
  /** Of one in a database that the manifest does not mean: whether the copy has it in the file that it had at the source by then. */
  const ofAnother = async (here: ClassRow, there: ClassRow | undefined): Promise<Judgement> => {
    if (there === undefined || (here.oid === there.oid && here.filenode === there.filenode)) return 'ofAnother';
    return here.oid === there.oid ? byWhom(there.xmin, 'ofAnother') : madeAnew(there, 'ofAnother');
  };
  return async ({ of: one, difference: { problem, code } }) => {
    if (code === insufficientPrivilege) return { open: COPY_NOT_READABLE };
    const here = inCopy(one);
    // Of one that was made anew by the instant of the copy the source has the same, under whatever name.
    const there = (one.oid === undefined ? undefined : ofNumber.get(here?.oid ?? one.oid)) ?? atSource(one);
    if (here === undefined) return ofMissing(one, there);
    if (problem === 'unlogged') {
      const state = await stateAtSource({ client, past }, here, isSameDatabase && here.oid === one.oid);
      return state === 'logged' ? 'damage' : state === 'unlogged' ? 'unlogged' : { open: whyUntold(null) };
    }
    // Whatever has become of it at the source.
    if (problem === 'unreadable') return alsoThere.get(one) === 'unreadable' ? open : 'damage';
    if (isAnother) return ofAnother(here, there);
    if (there === undefined) return open;
    const before = one.filenode;
    if (here.oid !== there.oid) return one.oid === undefined || here.filenode === before ? open : madeAnew(there, 'startedAnew');
    // Manifests of older programs do not say it.
    if (before === undefined) return here.filenode === there.filenode ? withoutFiles(one) : open;
    if (here.filenode === before) return withoutFiles(one);
    // The source never had another than that of the manifest, or had its own by the copy's instant: the copy alone has this one.
    if (there.filenode === before) return 'damage';
    if (there.filenode === here.filenode) return 'startedAnew';
    return byWhom(there.xmin, 'startedAnew');
  };
}

interface ClassRow { oid: number; schema: string; name: string; filenode: string; xmin: number; made: number }

/** Which file each sequence has; which transaction gave it that, or changed something else of it later; and which made it: that of a column is as it was then. */
async function classRows(client: Client): Promise<ClassRow[]> {
  const { rows } = await client.query<Omit<ClassRow, 'xmin' | 'made'> & { xmin: string; made: string }>(
    `SELECT c.oid::int8::float8 AS oid, n.nspname AS schema, c.relname AS name, c.relfilenode::text AS filenode, c.xmin::text AS xmin, coalesce(a.xmin, c.xmin)::text AS made
     FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace LEFT JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum = -1 WHERE c.relkind = 'S' AND c.relpersistence <> 't'`);
  return rows.map((row) => ({ ...row, xmin: Number(row.xmin), made: Number(row.made) }));
}
