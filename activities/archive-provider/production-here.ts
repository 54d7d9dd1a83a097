import { join } from 'node:path';
import type { Configuration } from '../../contracts/configuration.ts';
import { lookAt } from '../archive/look-at.ts';
import { archiveLayout, listRecoveryPoints } from '../archive/layout.ts';
import { productionPathsOf } from '../drill/drill.ts';

/** What of production may lie on this host. */
export interface ProductionHere {
  /** Repositories, archives, and the data directories and tablespaces that the newest backups name. */
  paths: string[];
  /** Where its servers listen. */
  sockets: { directory: string; port: number }[];
}

/** Where PostgreSQL, and its packages, put a socket of which nothing is said. */
const USUAL_SOCKETS = ['/var/run/postgresql', '/tmp'];
const LOOPBACK = new Set(['localhost', '127.0.0.1', '::1']);

/**
 * Of every database of the configuration, and not only of the one whose copy is to be kept from it: whoever else's
 * production this host carries did not ask for a drill.
 */
export async function productionHere({ databases }: Configuration): Promise<ProductionHere> {
  const all = await Promise.all(Object.values(databases).map(async ({ provider, connection }): Promise<ProductionHere> => {
    const layout = archiveLayout({ root: provider.repository, walDirectory: provider.walDirectory });
    // One whose backups cannot be read now is none the less there.
    const newest = (await listRecoveryPoints(layout).catch(() => undefined))?.points.at(-1);
    const { host, port } = connection;
    const asked = host.startsWith('/') ? [host] : LOOPBACK.has(host) ? USUAL_SOCKETS : [];
    return {
      paths: productionPathsOf(layout, newest),
      sockets: [...asked.map((directory) => ({ directory, port })), ...(newest?.sourceSocketDirectories ?? []).map((directory) => ({ directory, port: newest?.sourcePort ?? port }))],
    };
  }));
  const sockets = new Map(all.flatMap((one) => one.sockets).map((socket) => [socketPath(socket), socket]));
  // Of a usual place only what is there: another server's directory is not production's.
  const found = await Promise.all([...sockets].map(async ([path, socket]) => ((await lookAt(path).catch(() => undefined)) ? [socket] : [])));
  return { paths: [...new Set(all.flatMap(({ paths }) => paths))], sockets: found.flat() };
}

/** Paths by whose owners it is told to whom something of production belongs. */
export function ownedPaths({ paths, sockets }: ProductionHere): string[] {
  return [...paths, ...sockets.map(socketPath)];
}

function socketPath({ directory, port }: ProductionHere['sockets'][number]): string {
  return join(directory, `.s.PGSQL.${port}`);
}
