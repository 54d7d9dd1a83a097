import { stat } from 'node:fs/promises';
import type { Configuration, DatabaseSettings } from '../../contracts/configuration.ts';
import type { RecoveryPoint } from '../../contracts/recovery-point.ts';
import { lookAt } from '../archive/look-at.ts';
import { listRecoveryPoints } from '../archive/layout.ts';
import { isHostUnableToRead } from '../archive/unreadable.ts';
import { keptIn, layoutOf } from './kept-in.ts';
import { type Isolation, productionPathsOf, serverPathsOf, socketFile, usersOf } from '../drill/drill.ts';
import { inTurn } from '../kernel/in-turn.ts';
import type { PostgresBinaries } from '../postgres/binaries.ts';
import { serverUser } from '../postgres/server-user.ts';

/** What of production may lie on this host. */
export interface ProductionHere {
  /** Repositories, archives, and the data directories and tablespaces that the newest backups name. */
  paths: string[];
  /** Of the paths, those that its servers have: data directories and tablespaces. */
  ofServers: string[];
  /** Where its servers listen. */
  sockets: { directory: string; port: number }[];
  /** Whose repositories, archives or newest backups did not answer, in words: what else of theirs is here is not known, and is not among the paths. */
  unanswered: string[];
}

/** As long as another database's repository may take. On a mount whose server is gone it would be for ever. */
const LOOK_MS = 10_000;

/** Where PostgreSQL, and its packages, put a socket of which nothing is said. */
const USUAL_SOCKETS = ['/var/run/postgresql', '/tmp'];
const LOOPBACK = new Set(['localhost', '127.0.0.1', '::1']);

/**
 * Of every database of the configuration, and not only of the one whose copy is to be kept from it: whoever else's
 * production this host carries did not ask for a drill.
 */
export async function productionHere({ databases }: Pick<Configuration, 'databases'>, patienceMs = LOOK_MS): Promise<ProductionHere> {
  const all = await Promise.all(Object.entries(databases).map(async ([name, { provider, connection }]): Promise<ProductionHere> => {
    const { host, port } = connection;
    const asked = host.startsWith('/') ? [host] : LOOPBACK.has(host) ? USUAL_SOCKETS : [];
    const sockets = asked.map((directory) => ({ directory, port }));
    // No other call waits for one that does not come back.
    const found = await inTurn(keptIn(provider).join('\n'), patienceMs, () => lookIn(provider)).catch(({ message }: Error) => message);
    if (typeof found === 'string') return { paths: [], ofServers: [], sockets, unanswered: [`the repository of database "${name}", ${provider.repository}, or its archive cannot be looked into (${found})`] };
    const { paths, newest, unread } = found;
    const unanswered = unread === undefined ? [] : [`what the newest backup of database "${name}" in ${provider.repository} says cannot be read (${unread})`];
    return { paths, ofServers: newest ? serverPathsOf(newest) : [], sockets: [...sockets, ...(newest?.sourceSocketDirectories ?? []).map((directory) => ({ directory, port: newest?.sourcePort ?? port }))], unanswered };
  }));
  const sockets = new Map(all.flatMap((one) => one.sockets).map((socket) => [socketFile(socket.directory, socket.port), socket]));
  // Of a usual place only what is there: another server's directory is not production's.
  const found = await Promise.all([...sockets].map(async ([path, socket]) => ((await lookAt(path).catch(() => undefined)) ? [socket] : [])));
  return { paths: [...new Set(all.flatMap(({ paths }) => paths))], ofServers: all.flatMap(({ ofServers }) => ofServers), sockets: found.flat(), unanswered: all.flatMap(({ unanswered }) => unanswered) };
}

/** `unread`: why the newest backup may be another one that this host cannot read at present, and name other places. */
async function lookIn(provider: DatabaseSettings['provider']): Promise<{ paths: string[]; newest: RecoveryPoint | undefined; unread: string | undefined }> {
  const layout = layoutOf(provider);
  // One whose backups cannot be read now is none the less there.
  const listed = await listRecoveryPoints(layout).catch((error: unknown) => ({ points: [], unusable: [{ id: '', failure: error as Error, isOfHost: isHostUnableToRead(error) }] }));
  const newest = listed.points.at(-1);
  const unread = listed.unusable.find(({ id, isOfHost }) => isOfHost && (newest === undefined || id > newest.id));
  const paths = productionPathsOf(layout, newest);
  // One after the other, so that a mount that hangs holds one thread; whoever uses the paths looks at them again.
  for (const path of paths) await stat(path).catch(() => undefined);
  return { paths, newest, unread: unread?.failure.message };
}

/**
 * How far a copy is cut off as far as that is known: what is not known to be production's is not hidden from it.
 */
export function asKnown(isolation: Isolation, { unanswered }: Pick<ProductionHere, 'unanswered'>): Isolation {
  if (unanswered.length === 0) return isolation;
  return { ...isolation, mounts: 'notIsolated', reason: [isolation.reason, ...unanswered].filter((reason) => reason !== null).join('; ') };
}

/**
 * As whom the copy is not to run: to whom something of production belongs, or may belong, which is the usual user of a
 * database server where that cannot be told.
 */
export async function notAsWhom(ofSource: readonly string[], here: ProductionHere): Promise<number[]> {
  const known = await usersOf([...ofSource, ...ownedPaths(here)]);
  const usual = here.unanswered.length > 0 ? await serverUser() : undefined;
  return usual && !known.includes(usual.uid) ? [...known, usual.uid] : known;
}

/**
 * In words, that a copy runs as a user of production's, whose processes it may signal, and whose files it may write where
 * they are not hidden; null where it does not. `owners` are from {@link notAsWhom}.
 *
 * The copy of a worker that is not root is in a user namespace of its own, from which `/proc` leads to no file that is hidden
 * from it. So whose user that must not be is the server's: backups and archive may be the worker's own.
 */
export async function asProduction({ runAs, binDirectory }: Pick<PostgresBinaries, 'runAs' | 'binDirectory'>, source: { owners: readonly number[]; ofServer: readonly string[] }, here: ProductionHere): Promise<string | null> {
  if (runAs) return source.owners.includes(runAs.uid) ? `it runs as user ${runAs.uid}, to whom files of production ${here.unanswered.length > 0 ? 'may ' : ''}belong: no other can read ${binDirectory}` : null;
  const uid = process.getuid?.();
  const servers = await usersOf([...source.ofServer, ...here.ofServers, ...socketFiles(here)]);
  return uid !== undefined && servers.includes(uid) ? `it runs as user ${uid}, as the worker does, to whom production's server belongs` : null;
}

/** Paths by whose owners it is told to whom something of production belongs. */
function ownedPaths(here: ProductionHere): string[] {
  return [...here.paths, ...socketFiles(here)];
}

function socketFiles({ sockets }: ProductionHere): string[] {
  return sockets.map(({ directory, port }) => socketFile(directory, port));
}
