import type { Client } from 'pg';
import type { DatabaseManifest, Difference, NotVerified } from '../../../contracts/manifest.ts';
import { compareSequences, type SequencesComparison } from '../compare-sequences.ts';
import { insufficientPrivilege } from '../errors.ts';
import { COPY_NOT_READABLE, LOCKED_IN_COPY } from './not-compared.ts';
import { ofSource } from './of-source.ts';
import { mustHave, type SharedPast } from './shared-past.ts';

export interface SequencesOptions {
  copy: Client;
  /** Null where it does not answer. */
  source: { client: Client; past: SharedPast } | null;
  expected: DatabaseManifest;
  /** Relations of the copy, by oid, that a prepared transaction has locked for good. */
  locked: ReadonlySet<number>;
  /** Why nobody knows of one that is not as the manifest has it. */
  because: string;
}

/** `damage`, `startedAnew`: that is by design; else why it is open. */
type Judgement = 'damage' | 'startedAnew' | { open: string };
type Differing = Extract<Difference, { kind: 'sequence' }>;

const STARTED_ANEW = 'it has started anew since the manifest (RESTART, TRUNCATE … RESTART IDENTITY, ALTER SEQUENCE), so that the manifest does not say where it must stand';

/**
 * Where the sequences of a copy of a later instant stand. RESTART gives one another file: of a sequence that the source has started
 * anew since the manifest, that does not say where it must stand. `setval` moves back within a file, which nothing tells from damage
 * once the source has gone on.
 */
export async function compareSequencesSince(options: SequencesOptions): Promise<Pick<SequencesComparison, 'differences' | 'compared'> & { notVerified: NotVerified[] }> {
  const { copy, expected, locked } = options;
  const found = await compareSequences(copy, expected.sequences, locked);
  const differences = found.differences.filter((difference) => difference.kind === 'sequence');
  const judge = differences.length > 0 ? await judgeOf(options) : undefined;
  const judged: { difference: Differing; judgement: Judgement }[] = [];
  if (judge) for (const difference of differences) judged.push({ difference, judgement: await judge(difference) });
  const left = (what: string, why: string, byDesign = false): NotVerified => ({ database: expected.database, what, why, byDesign });
  return {
    compared: found.compared, differences: judged.flatMap(({ difference, judgement }) => (judgement === 'damage' ? [difference] : [])),
    notVerified: [
      ...judged.flatMap(({ difference: { sequence }, judgement }) => {
        const what = `position of sequence ${sequence}`;
        if (judgement === 'damage') return [];
        return [judgement === 'startedAnew' ? left(what, STARTED_ANEW, true) : left(what, judgement.open)];
      }),
      ...found.locked.map((what) => left(what, LOCKED_IN_COPY)),
      ...found.unknown.map((what) => left(what, 'it was made, restarted, set or locked while the manifest was taken')),
    ],
  };
}

async function judgeOf({ copy, source, expected, because }: SequencesOptions): Promise<(difference: Differing) => Promise<Judgement>> {
  const files = new Map(expected.sequences.map(({ schema, name, filenode }) => [`${schema}.${name}`, filenode]));
  const ours = await classRows(copy);
  const theirs = source && await ofSource(classRows(source.client));
  // One that people set back, or dropped, since the manifest is so at the source, too.
  const alsoThere = new Set(source && (await ofSource(compareSequences(source.client, expected.sequences, new Set()))).differences.map((difference) => (difference.kind === 'sequence' ? difference.sequence : '')));
  return async ({ sequence, problem, code }) => {
    if (code === insufficientPrivilege) return { open: COPY_NOT_READABLE };
    const open = { open: `is not as the manifest has it, ${because}` };
    if (!source) return open;
    const withoutFiles = alsoThere.has(sequence) ? open : 'damage';
    if (problem === 'missing' || problem === 'unreadable') return withoutFiles;
    const [before, here, there] = [files.get(sequence), ours.get(sequence)?.filenode, theirs?.get(sequence)];
    // Manifests of older programs do not say it.
    if (before === undefined) return here === there?.filenode ? withoutFiles : open;
    if (here === before) return withoutFiles;
    if (!there) return open;
    // The source never had another than that of the manifest, or had its own by the copy's instant: the copy alone has this one.
    if (there.filenode === before) return 'damage';
    if (there.filenode === here) return 'startedAnew';
    if (await mustHave(source.past, there.xmin)) return 'damage';
    return await source.past.areLater(new Set([there.xmin])) ? 'startedAnew' : open;
  };
}

/** Which file each sequence has, and which transaction gave it that, or changed something else of it later. */
async function classRows(client: Client): Promise<Map<string, { filenode: string; xmin: number }>> {
  const { rows } = await client.query<{ schema: string; name: string; filenode: string; xmin: string }>(
    `SELECT n.nspname AS schema, c.relname AS name, c.relfilenode::text AS filenode, c.xmin::text AS xmin FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE c.relkind = 'S' AND c.relpersistence <> 't'`);
  return new Map(rows.map(({ schema, name, filenode, xmin }) => [`${schema}.${name}`, { filenode, xmin: Number(xmin) }]));
}
