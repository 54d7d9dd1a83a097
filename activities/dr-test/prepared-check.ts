import type { ClientConfig } from 'pg';
import { otherHistory, RESTORED_SINCE } from '../manifest/since/other-history.ts';
import type { Check } from '../../contracts/evidence.ts';
import type { DatabaseManifest, Manifest } from '../../contracts/manifest.ts';
import { conditionOf } from './condition.ts';
import { overAnyDatabase } from './over-any-database.ts';
import type { Unreadable } from './unreadable.ts';

/** How to connect to the one that lives on; `silent` where not even its password can be read. */
type LivingSource = ((database: string) => ClientConfig) | 'silent';

/** How far the copy was replayed, by the source's clock, and how that stands to the drill's host; null where that is not known. */
export interface Replayed { clockSkewSeconds: number | null; lastCommitAt: string | null }

const MARGIN_MS = 2_000;
/** More than this are counted, not listed: there may be thousands, and a check goes into evidence. */
const LISTED = 20;

/** Why nobody can tell whether the source left what is there, and what to do. */
const NO_MANIFEST = 'no manifest tells whether the source left them; take one, and drill again';
const NO_CLOCK = "the manifest, which does not list all of them, does not say when it was taken by the source's clock, and the source did not answer when the drill was planned, so that nobody can tell whether the others are older; drill again with a newer manifest, or while the source answers";
const NO_COMMIT = 'the manifest does not list all of them, and no commit that was replayed tells whether the copy has come beyond it, so that nobody can tell whether the source left the others; drill again once the source has committed something';

interface Prepared { gid: string; database: string; prepared: Date; owner: string; resolve: string }

/**
 * Prepared transactions that are still there after recovery: they hold their locks until somebody resolves them, in a
 * real recovery too. Those that the manifest lists, and those that were prepared after it was taken, are as they should
 * be; one that is older than the manifest and not in it did not exist at the source. Where nothing says which of these one
 * is, the check has no answer. While a copy is paused PostgreSQL shows none, so they are looked for only after recovery has ended.
 * @param source the living one, which tells whether the manifest is of its past; `silent` where we cannot even try, null where the manifest is of the recovery point's history
 */
export async function checkPreparedTransactions(address: (database: string) => ClientConfig, database: string, { readManifest, source = null, replayed, signal }: { readManifest: () => Promise<Manifest | Unreadable | null>; source?: LivingSource | null; replayed: Replayed; signal: AbortSignal }): Promise<Check> {
  const name = 'prepared transactions';
  const { rows } = await overAnyDatabase(address, database, (client) => client.query<Prepared>(
    `SELECT gid, database, prepared, owner, format('COMMIT PREPARED %L; or ROLLBACK PREPARED %L;', gid, gid) AS resolve FROM pg_prepared_xacts ORDER BY prepared, gid`), signal);
  // As nearly always; a manifest that went since it was compared then takes nothing from the drill.
  if (rows.length === 0) return { name, outcome: 'passed', detail: 'none is left over' };
  const manifest = await readManifest();
  const described = (found: readonly Prepared[]) => found.slice(0, LISTED).map(({ gid, database: where, prepared, owner, resolve }) => `"${gid}" in ${where} (prepared at ${prepared.toISOString()} by ${owner}; ${resolve})`).join(', ')
    + (found.length > LISTED ? ` and ${found.length - LISTED} more` : '');
  const advice = 'They hold their locks until they are resolved: connect to the database as the owner or as a superuser and run one of the two commands.';
  const untold = (why: string): Check => ({ name, outcome: 'skipped', detail: `${rows.length} left over, and ${why}. They are ${described(rows)}. ${advice}` });
  if (manifest && 'unreadable' in manifest) return untold(`the manifest, which would tell whether the source left them, can no longer be read (${manifest.unreadable})`);
  if (manifest === null) return untold(NO_MANIFEST);
  const judged = rows.map((row) => ({ row, is: judge(row, manifest, replayed) }));
  const unexpected = judged.flatMap(({ row, is }) => (is === 'unexpected' ? [row] : []));
  const doubt = source && unexpected.length > 0 ? await doubtIn(manifest, source, database, signal) : null;
  if (doubt !== null) return untold(doubt);
  if (unexpected.length > 0) return { name, outcome: 'failed', detail: `the source did not have ${described(unexpected)} when the manifest was taken. ${advice}` };
  const unknown = judged.find(({ is }) => is === NO_CLOCK || is === NO_COMMIT);
  if (unknown) return untold(unknown.is);
  return { name, outcome: 'passed', detail: `${rows.length} left over, as the source left them: ${described(rows)}. ${advice}` };
}

/** Why a manifest need not tell what the source left: that has another history than the manifest, or could not be asked; null where it shows none. */
async function doubtIn(manifest: Manifest, source: LivingSource, database: string, signal: AbortSignal): Promise<string | null> {
  const [first] = manifest.databases;
  if (!first) return null;
  const silence = 'the source, which would tell whether the manifest is of its past, could not be asked';
  if (source === 'silent') return silence;
  try {
    const history = await overAnyDatabase(source, database, (client) => otherHistory(client, manifest, first), signal);
    return history && `the manifest does not tell whether the source left them (${history}), since ${RESTORED_SINCE}`;
  } catch (error) {
    signal.throwIfAborted();
    const condition = conditionOf(error);
    return condition === '' ? silence : `${silence} (${condition})`;
  }
}

/**
 * Unexpected is what is older than the manifest and not in it. The manifest lists them after it has read all tables, so one that
 * was resolved meanwhile is missing rightly: only a copy that was replayed beyond that moment must not have it.
 */
function judge({ gid, database, prepared }: Prepared, { preparedTransactions, databases, cost }: Manifest, { clockSkewSeconds, lastCommitAt }: Replayed): 'expected' | 'unexpected' | typeof NO_CLOCK | typeof NO_COMMIT {
  if (preparedTransactions.some((listed) => listed.gid === gid && listed.database === database)) return 'expected';
  const takenMs = Math.min(...databases.map((entry) => takenMsOf(entry, clockSkewSeconds)));
  if (Number.isNaN(takenMs)) return NO_CLOCK;
  if (prepared.getTime() >= takenMs - MARGIN_MS) return 'expected';
  if (lastCommitAt === null) return NO_COMMIT;
  return Date.parse(lastCommitAt) > takenMs + cost.durationMs + MARGIN_MS ? 'unexpected' : 'expected';
}

/**
 * When a database was read, by the source's clock, by which transactions are stamped; not a number where nobody knows. Older manifests
 * say it by the clock of who took them alone, which is held to stand to the source's as that of the drill's host does.
 */
function takenMsOf({ takenAt, takenAtBySource }: DatabaseManifest, clockSkewSeconds: number | null): number {
  if (takenAtBySource !== undefined) return Date.parse(takenAtBySource);
  return clockSkewSeconds === null ? Number.NaN : Date.parse(takenAt) + clockSkewSeconds * 1000;
}
