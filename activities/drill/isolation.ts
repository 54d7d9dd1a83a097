import { execFile } from 'node:child_process';
import { realpath, stat } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { findOnPath } from '../archive/copy-files.ts';
import type { Isolation } from './drill.ts';

const run = promisify(execFile);

interface Owner {
  uid: number;
  gid: number;
}

/** `setpriv` clears what the namespaces gave us; `no_new_privs` keeps setuid programs from giving it back. */
const DROP_AS_ROOT = (owner: Owner) => ['setpriv', `--reuid=${owner.uid}`, `--regid=${owner.gid}`, '--clear-groups', '--no-new-privs', '--'];
const DROP_AS_USER = ['setpriv', '--inh-caps=-all', '--ambient-caps=-all', '--no-new-privs', '--'];

/** What private mounts are made from, by name: of all that a process of the drill's user can change, not this, nor can its children leave it. */
export function mountSource(name: string): string {
  return `drill:${name}`;
}

// $1 is the name of the mounts, $2 the number of paths to hide; the command follows them. A missing path is nothing to
// hide. The drill's shared memory is its own, so none of it can be left behind; and where memory runs out, the drill goes
// before production.
const HIDE = `
set -e
source=$1; count=$2; shift 2
while [ "$count" -gt 0 ]; do
  if [ -d "$1" ]; then mount -t tmpfs -o ro,size=16k,mode=0555 "$source" "$1"
  elif [ -e "$1" ]; then mount --bind /dev/null "$1"
  fi
  shift; count=$((count - 1))
done
if [ -d /dev/shm ]; then mount -t tmpfs -o mode=1777 "$source" /dev/shm; fi
echo 500 > /proc/self/oom_score_adj || true
exec "$@"`;

/** What a host allows: probed by really doing it, once per process. */
export async function probeIsolation(owner: Owner | null): Promise<Isolation> {
  if (process.platform !== 'linux') return none(`network namespaces exist on Linux only, and this is ${process.platform}`);
  for (const tool of ['unshare', 'setpriv', 'mount']) if (!findOnPath(tool)) return none(`this host has no "${tool}" (package util-linux)`);
  const full: Isolation = { network: 'isolated', mounts: 'isolated', reason: null };
  const failure = await tryRun(isolatedCommand({ isolation: full, name: 'probe', owner, hide: [], command: ['true'] }));
  if (failure === null) return full;
  const networkOnly: Isolation = { network: 'isolated', mounts: 'notIsolated', reason: `this host forbids private mounts: ${failure}` };
  const second = await tryRun(isolatedCommand({ isolation: networkOnly, name: 'probe', owner, hide: [], command: ['true'] }));
  if (second === null) return networkOnly;
  return none(`this host forbids network namespaces: ${second}`);
}

function none(reason: string): Isolation {
  return { network: 'notIsolated', mounts: 'notIsolated', reason };
}

async function tryRun(command: string[]): Promise<string | null> {
  return run(command[0] as string, command.slice(1), { timeout: 10_000 }).then(
    () => null,
    (error: Error & { stderr?: string }) => (error.stderr || error.message).trim().split('\n')[0] ?? 'unknown',
  );
}

/** Puts a command into the namespaces that the host allows, as the drill's user. The process keeps its id throughout. */
export function isolatedCommand(args: { isolation: Isolation; name: string; owner: Owner | null; hide: readonly string[]; command: readonly string[] }): string[] {
  const { isolation, owner, command } = args;
  if (isolation.network === 'notIsolated') {
    return owner && findOnPath('setpriv') ? [...DROP_AS_ROOT(owner), ...command] : [...command];
  }
  const asUser = owner ? [] : ['--user', '--map-current-user', '--keep-caps'];
  const drop = owner ? DROP_AS_ROOT(owner) : DROP_AS_USER;
  if (isolation.mounts === 'notIsolated') return ['unshare', ...asUser, '--net', '--', ...drop, ...command];
  return [
    'unshare', ...asUser, '--net', '--ipc', '--mount', '--propagation', 'private', '--',
    'sh', '-c', HIDE, 'sh', mountSource(args.name), String(args.hide.length), ...args.hide, ...drop, ...command,
  ];
}

/**
 * Which of production's paths can be hidden: a directory that holds what the drill needs cannot, so of a socket
 * directory like /tmp only the source's socket is.
 */
export async function chooseHiddenPaths(args: { production: readonly string[]; sockets: readonly { directory: string; port: number }[]; needed: readonly string[] }): Promise<string[]> {
  const needed = await Promise.all(args.needed.map((path) => realpath(path)));
  const holdsNeeded = (path: string) => needed.some((one) => one === path || one.startsWith(path === '/' ? '/' : `${path}/`));
  const chosen = new Set<string>();
  for (const path of args.production) {
    const real = await realpath(path).catch(() => undefined);
    if (real !== undefined && !holdsNeeded(real)) chosen.add(real);
  }
  for (const { directory, port } of args.sockets) {
    const real = await realpath(directory).catch(() => undefined);
    if (real === undefined) continue;
    if (!holdsNeeded(real) && real !== '/tmp' && real !== dirname('/tmp')) chosen.add(real);
    else if (await stat(join(real, `.s.PGSQL.${port}`)).then(() => true, () => false)) chosen.add(join(real, `.s.PGSQL.${port}`));
  }
  // A path inside one that is hidden is gone already, and cannot be mounted on.
  return [...chosen].filter((path) => ![...chosen].some((other) => other !== path && path.startsWith(`${other}/`))).sort();
}
