import type { Client } from 'pg';
import type { HeartbeatSetting } from '../../contracts/configuration.ts';
import { heartbeatCheckName } from '../../contracts/asked-checks.ts';
import { saysNothingOfTheData, sqlState } from '../manifest/errors.ts';
import { INSTALL_LIBRARY, libraryTrouble } from '../postgres/library-trouble.ts';
import { type GuardedConfig, withClient } from '../postgres/source.ts';
import { conditionOf } from './condition.ts';
import { isOfSource, isSilence, reasonOf } from './describe-source.ts';
import { drillSource, type DrillSource } from './drill-source.ts';
import type { LossResult, MeasureLossInput } from './drill-activities.ts';
import { GRANT_IT, lacksRight } from './lacks-right.ts';
import { BEFORE_END_MS, crossCheckHeartbeat, NoHeartbeatTable, NoInstants, readAhead, readBeat } from './heartbeat.ts';
import { otherCluster, provesNothing, systemIdentifierOf } from './other-cluster.ts';
import type { LostCommits, Point, RecoveryProvider } from './provider.ts';

/** What is asked for the source's side of the loss. */
export interface LossDependencies extends DrillSource {
  provider: Pick<RecoveryProvider, 'find' | 'lostCommits' | 'takesInstantsAsGiven'>;
  signal: AbortSignal;
}

/** What is asked for the copy's side as well, which has the heartbeats. */
export interface MeasuringDependencies extends LossDependencies {
  /** Brings the copy up where its server is gone, and says how to reach it. */
  copy: () => Promise<(database: string) => GuardedConfig>;
}

/**
 * What a restore to `declaredAt` would have lost: the commits that the source had at that instant and the drill does
 * not. They are read from the source's own WAL, so their number is exact and an idle source has lost nothing. Where a
 * heartbeat table is configured, its account is held against that of the WAL.
 */
export async function measureLoss(input: MeasureLossInput, dependencies: MeasuringDependencies): Promise<LossResult> {
  const { drill, plan, recovered, declarationSkewSeconds } = input;
  // Commit times are the source's clock; the instant of the disaster is ours, or Temporal's where the run began with it.
  const until = new Date(Date.parse(plan.declaredAt) + (declarationSkewSeconds + (plan.source?.clockSkewSeconds ?? 0)) * 1000);
  const { lost, silence, foreign } = await lostUntil(until, input, dependencies);
  const point = await dependencies.provider.find(drill.recoveryPointId);
  const other = foreign ?? (plan.source === null ? await foreignByNow(point, input, dependencies) : null);
  const account = foreign === null
    ? accountOf({ lost, lastRecoveredAt: recovered.lastCommitAt, beganAt: point.beganAt, until, toATime: plan.recoverTo !== null, silence })
    // Not even a bound: of what this source has committed, none of its own is in the copy.
    : { rpaSeconds: null, lostTransactions: null, method: `${foreign}: what the source would lose is not known` };
  const result: LossResult = { ...account, clockSkewSeconds: plan.source?.clockSkewSeconds ?? null, checks: [], notVerified: { open: other === null ? [] : [provesNothing(other)], byDesign: [] } };
  return plan.heartbeat ? withHeartbeat(result, { input, dependencies, until, sourceAnswered: silence === null, foreign }) : result;
}

interface KnownLoss {
  lost: LostCommits;
  /** Why the source could not be asked itself, or null. */
  silence: string | null;
  /** That it is another cluster than the recovery point's, which says nothing of the loss; or null. */
  foreign: string | null;
}

/** What the source committed until an instant of its clock and the copy does not have. */
export async function lostUntil(until: Date, { drill, plan, recovered }: Pick<MeasureLossInput, 'drill' | 'plan' | 'recovered'>, dependencies: LossDependencies): Promise<KnownLoss> {
  const { settings, provider, signal } = dependencies;
  const ofForeign = (foreign: string): KnownLoss => ({ lost: { commits: 0, maintenance: 0, lastCommitAt: null, knownFrom: 'archive', unread: foreign }, silence: null, foreign });
  const asked = plan.source && { point: await provider.find(drill.recoveryPointId), planned: plan.source.systemIdentifier };
  const foreign = asked && otherCluster(asked.point, asked.planned);
  if (foreign !== null) return ofForeign(foreign);
  const query = { endLsn: recovered.endLsn, until, signal };
  const config = await drillSource(dependencies, drill.owner);
  let silence = `the source did not answer${plan.sourceSilence === null ? '' : `: ${plan.sourceSilence}`}`;
  const live = asked === null ? undefined : await withClient(config(), async (source): Promise<KnownLoss> => {
    // Another server may answer there since the plan was made.
    const since = await nowForeign(asked.point, source);
    return since === null ? { lost: await provider.lostCommits(drill, { ...query, source }), silence: null, foreign: null } : ofForeign(since);
  }, signal).catch((error: unknown) => {
    signal.throwIfAborted();
    // A hiccup of the archive passes, and the number is exact when this is tried again.
    if (!isOfSource(error)) throw error;
    silence = silenceOf(error, settings.connection.user);
    return undefined;
  });
  return live ?? { lost: await provider.lostCommits(drill, { ...query, source: null }), silence, foreign: null };
}

/** Of a source that was silent when the plan was made: whether another one answers there by now. What the dead one has lost is counted all the same. */
async function foreignByNow(point: Point, { drill }: Pick<MeasureLossInput, 'drill'>, dependencies: LossDependencies): Promise<string | null> {
  const { signal } = dependencies;
  const config = await drillSource(dependencies, drill.owner);
  return withClient(config(), (source) => nowForeign(point, source), signal).catch((error: unknown) => {
    signal.throwIfAborted();
    if (!isOfSource(error)) throw error;
    return null;
  });
}

async function nowForeign(point: Point, source: Client): Promise<string | null> {
  return point.systemIdentifier === null ? null : otherCluster(point, await systemIdentifierOf(source));
}

/** Why its WAL could not be read through the source. One that answers is not dead, and must not read like one. */
function silenceOf(error: unknown, user: string): string {
  if (isSilence(error)) return `the source did not answer: ${reasonOf(error)}`;
  // 42501, insufficient_privilege.
  const remedy = sqlState(error) === '42501' ? `: grant EXECUTE on pg_read_binary_file(text, bigint, bigint, boolean) to ${user}` : '';
  return `the source answers, but ${reasonOf(error)}${remedy}`;
}

interface Account { rpaSeconds: number | null; lostTransactions: number | null; method: string }

function accountOf({ lost, lastRecoveredAt, beganAt, until, toATime, silence }: { lost: LostCommits; lastRecoveredAt: string | null; beganAt: string; until: Date; toATime: boolean; silence: string | null }): Account {
  // Nothing was committed since the backup began, so the last recovered commit is older than that.
  const lastRecovered = Date.parse(lastRecoveredAt ?? beganAt);
  const from = lastRecoveredAt === null ? '; nothing was committed between the start of the backup and the end of the archive, so it counts from that start' : '';
  const target = toATime ? '; recovery aimed at an instant, so what came after it counts as lost' : '';
  if (lost.knownFrom === 'archive') {
    const rpaSeconds = Math.max(0, (until.getTime() - lastRecovered) / 1000);
    const why = `${lost.unread ?? "none of the source's own WAL is on this host"}${silence === null ? '' : ` (${silence})`}`;
    return { rpaSeconds, lostTransactions: null, method: `${why}: at most the time from the last archived commit that was recovered to the instant of declaration; how many transactions were lost is not known${from}${target}` };
  }
  const maintenance = lost.maintenance === 0 ? '' : `; ${lost.maintenance} more wrote nothing, or nothing but statistics of tables (ANALYZE, VACUUM), and ${lost.maintenance === 1 ? 'does' : 'do'} not count`;
  const where = lost.knownFrom === 'source' ? lost.countedIn ?? "the source's own WAL" : `the WAL on the source's disk (${silence})`;
  if (lost.commits === 0) {
    return { rpaSeconds: 0, lostTransactions: 0, method: `every transaction that the source had committed at the instant of declaration is in the restored database, according to ${where}${maintenance}${target}` };
  }
  const rpaSeconds = lost.lastCommitAt === null ? null : Math.max(0, (Date.parse(lost.lastCommitAt) - lastRecovered) / 1000);
  return { rpaSeconds, lostTransactions: lost.commits, method: `last commit of the source before the instant of declaration against the last commit in the restored database, counted in ${where}${maintenance}${from}${target}` };
}

async function withHeartbeat(
  result: LossResult,
  { input: { recovered, drill, plan }, dependencies, until, sourceAnswered, foreign }: { input: MeasureLossInput; dependencies: MeasuringDependencies; until: Date; sourceAnswered: boolean; foreign: string | null },
): Promise<LossResult> {
  const { settings, copy, signal } = dependencies;
  // As it was approved, and not as the configuration may say by now.
  const setting = plan.heartbeat;
  if (!setting) return result;
  const database = setting.database ?? settings.connection.database;
  const copyConfig = { ...(await copy())(database), searchPath: 'ofDatabase' as const };
  const copyMs = await withClient(copyConfig, (client) => readBeat(client, setting, { of: 'copy', until: null }), signal).catch((error: unknown) => {
    signal.throwIfAborted();
    // Of a copy that is gone the heartbeat says nothing: this is tried again.
    if (!(error instanceof NoHeartbeatTable || error instanceof NoInstants) && saysNothingOfTheData(error)) throw error;
    return error as Error;
  });
  // A mistake in the configuration, or a table that had another column then. The plan refuses it where the source answers; here all has been measured, and is worth more than a second account.
  if (copyMs instanceof NoInstants) return { ...result, checks: [...result.checks, { name: heartbeatCheckName(setting.table), outcome: 'skipped', detail: `says nothing: in the restored copy ${copyMs.message}` }] };
  const unloaded = libraryTrouble(copyMs);
  if (unloaded !== undefined) return { ...result, checks: [...result.checks, { name: heartbeatCheckName(setting.table), outcome: 'skipped', detail: `could not be read in the restored copy, whose PostgreSQL cannot load a library that it needs (${unloaded}): ${INSTALL_LIBRARY}` }] };
  if (await lacksRight(copyMs, copyConfig)) return { ...result, checks: [...result.checks, { name: heartbeatCheckName(setting.table), outcome: 'skipped', detail: `could not be read in the restored copy: ${GRANT_IT}` }] };
  // The setting is wrong or the table is gone: a check that was asked for and could not be done has not passed.
  if (copyMs instanceof Error) return { ...result, checks: [...result.checks, { name: heartbeatCheckName(setting.table), outcome: 'failed', detail: `could not be read in the restored copy: ${whyUnread(copyMs, setting)}` }] };
  // Another cluster's heart says nothing of this copy.
  let sourceTrouble = foreign;
  const source = await drillSource(dependencies, drill.owner);
  const lastRecoveredMs = recovered.lastCommitAt === null ? null : Date.parse(recovered.lastCommitAt);
  const readSource = async (client: Client) => ({
    sourceMs: await readBeat(client, setting, { of: 'source', until }),
    sourceAtEndMs: lastRecoveredMs === null ? null : await readBeat(client, setting, { of: 'source', until: new Date(lastRecoveredMs - BEFORE_END_MS) }),
    aheadMs: await readAhead(client, setting),
  });
  const nothing = { sourceMs: null, sourceAtEndMs: null, aheadMs: null };
  const beats = !sourceAnswered || foreign !== null ? nothing : await withClient({ ...source(database), searchPath: 'ofDatabase' }, readSource, signal).catch((error: unknown) => {
    signal.throwIfAborted();
    // Whatever is wrong at the source, it says nothing of what was restored.
    sourceTrouble = whyUnread(error, setting);
    return nothing;
  });
  const { check, words } = crossCheckHeartbeat(setting, {
    copyMs, ...beats, sourceAnswered, sourceTrouble, declaredMs: until.getTime(),
    // What is known as a bound only is nothing to hold it against.
    rpaSeconds: result.lostTransactions === null ? null : result.rpaSeconds,
    lastRecoveredMs,
  });
  return { ...result, method: result.method + words, checks: [...result.checks, check] };
}

/** The table is of users: what PostgreSQL says of it may hold values of rows. */
function whyUnread(error: unknown, { column }: HeartbeatSetting): string {
  return sqlState(error) === '' ? reasonOf(error) : `PostgreSQL refused to read its column "${column}" (${conditionOf(error)})`;
}
