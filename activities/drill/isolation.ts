import { execFile } from 'node:child_process';
import { realpath, stat } from 'node:fs/promises';
import { dirname } from 'node:path';
import { promisify } from 'node:util';
import { findOnPath } from '../archive/host-programs.ts';
import { type Isolation, socketFile } from './drill.ts';

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

// $1 is the name of the mounts, $2 the directory of the drill, whose table of mounts is followed, or nothing; the command
// follows them. The paths of the table are taken as they are, since relative ones mean what was there before. The drill's
// shared memory is its own, so none of it can be left behind; and where memory runs out, the drill goes before production.
// At last something is put upon the root: whose root is not the topmost one may make no user namespace, in which it could
// leave these mounts.
const HIDE = `
set -e
source=$1; directory=$2; shift 2
if [ -n "$directory" ]; then
  cd "$directory"
  mount -c -a -T ./conf/mounts
  cd "$directory"
fi
if [ -d /dev/shm ]; then mount -t tmpfs -o mode=1777 "$source" /dev/shm; fi
echo 500 > /proc/self/oom_score_adj || true
mount -t tmpfs -o ro,size=16k,mode=0555 "$source" /
exec "$@"`;

/** What a host allows: probed by really doing it, once per process. */
export async function probeIsolation(owner: Owner | null): Promise<Isolation> {
  if (process.platform !== 'linux') return none(`network namespaces exist on Linux only, and this is ${process.platform}`);
  for (const tool of ['unshare', 'setpriv', 'mount']) if (!findOnPath(tool)) return none(`this host has no "${tool}" (package util-linux)`);
  const full: Isolation = { network: 'isolated', mounts: 'isolated', reason: null };
  const failure = await tryRun(isolatedCommand({ isolation: full, name: 'probe', directory: null, owner, command: ['true'] }));
  if (failure === null) return full;
  const networkOnly: Isolation = { network: 'isolated', mounts: 'notIsolated', reason: `this host forbids private mounts: ${failure}` };
  const second = await tryRun(isolatedCommand({ isolation: networkOnly, name: 'probe', directory: null, owner, command: ['true'] }));
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

/** Puts a command into the namespaces that the host allows, as the drill's user, with the mounts of `writeMounts`. The process keeps its id throughout. */
export function isolatedCommand(args: { isolation: Isolation; name: string; directory: string | null; owner: Owner | null; command: readonly string[] }): string[] {
  const { isolation, owner, command } = args;
  if (isolation.network === 'notIsolated') {
    return owner && findOnPath('setpriv') ? [...DROP_AS_ROOT(owner), ...command] : [...command];
  }
  const asUser = owner ? [] : ['--user', '--map-current-user', '--keep-caps'];
  const drop = owner ? DROP_AS_ROOT(owner) : DROP_AS_USER;
  if (isolation.mounts === 'notIsolated') return ['unshare', ...asUser, '--net', '--', ...drop, ...command];
  return [
    'unshare', ...asUser, '--net', '--ipc', '--mount', '--propagation', 'private', '--',
    'sh', '-c', HIDE, 'sh', mountSource(args.name), args.directory ?? '', ...drop, ...command,
  ];
}

/** Where other drills lie, if that can be hidden: not where something lies there that the drill needs. Its own directory is put back. */
export async function chooseHiddenDrills(drills: string, needed: readonly string[]): Promise<string | null> {
  const [real = '', ...others] = await Promise.all([drills, ...needed].map((path) => realpath(path)));
  return others.some((one) => isWithin(one, real)) ? null : real;
}

/** By the letters of two whole paths. */
export function isWithin(path: string, directory: string): boolean {
  return path === directory || path.startsWith(directory === '/' ? '/' : `${directory}/`);
}

/**
 * Which of production's paths can be hidden: a directory that holds what the drill needs cannot, so of a socket
 * directory like /tmp only the source's socket is.
 */
export async function chooseHiddenPaths(args: { production: readonly string[]; sockets: readonly { directory: string; port: number }[]; needed: readonly string[] }): Promise<string[]> {
  const needed = await Promise.all(args.needed.map((path) => realpath(path)));
  const holdsNeeded = (path: string) => needed.some((one) => isWithin(one, path));
  const chosen = new Set<string>();
  for (const path of args.production) {
    const real = await realpath(path).catch(() => undefined);
    if (real !== undefined && !holdsNeeded(real)) chosen.add(real);
  }
  for (const { directory, port } of args.sockets) {
    const real = await realpath(directory).catch(() => undefined);
    if (real === undefined) continue;
    if (!holdsNeeded(real) && real !== '/tmp' && real !== dirname('/tmp')) chosen.add(real);
    else if (await stat(socketFile(real, port)).then(() => true, () => false)) chosen.add(socketFile(real, port));
  }
  // A path inside one that is hidden is gone already, and cannot be mounted on.
  return [...chosen].filter((path) => ![...chosen].some((other) => other !== path && path.startsWith(`${other}/`))).sort();
}
