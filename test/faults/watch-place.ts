import type { Owner } from '../../contracts/ledger.ts';
import type { Watch } from './scene.ts';
import { drillProcesses, isCopying, postmasters } from './host-processes.ts';

/** Looks every 150 ms, which costs a few, whether two attempts act in one drill at the same time: two copiers, or two servers on its data. */
export function watchPlace(owner: Owner, drillsDirectory: string): Watch {
  const overlaps = new Set<string>();
  const timer = setInterval(() => {
    const found = drillProcesses({ owner, drillsDirectory });
    const copying = found.filter(isCopying);
    const servers = postmasters(found);
    if (copying.length > 1) overlaps.add(`${copying.length} processes copied at the same time`);
    if (servers.length > 1) overlaps.add(`${servers.length} servers ran at the same time`);
    if (copying.length > 0 && servers.length > 0) overlaps.add('a server ran while its files were copied');
  }, 150);
  return { stop: () => { clearInterval(timer); return Promise.resolve([...overlaps]); } };
}
