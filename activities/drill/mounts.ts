import { join, resolve } from 'node:path';
import { lookAt } from '../archive/look-at.ts';
import { type Drill, drillPaths } from './drill.ts';
import { replaceFile } from './hostile-files.ts';
import { isWithin, mountSource } from './isolation.ts';

/** Nothing is in it, and nothing can be made in it. */
const EMPTY = 'ro,size=16k,mode=0555';
/** With the flags that a mount may have which a user's own namespace cannot take from it. */
const READ_ONLY = 'bind,ro,nosuid,nodev,noexec';

type Mounted = Pick<Drill, 'name' | 'directory' | 'owner' | 'isolation' | 'hiddenPaths' | 'hiddenDrills'>;

/**
 * Writes down what is mounted for a drill's server, in a table as `/etc/fstab` is one, so that one command mounts it all.
 * It is read from the drill's directory, which is what relative paths mean. Nothing is written where there are no private
 * mounts.
 */
export async function writeMounts(drill: Mounted): Promise<void> {
  if (drill.isolation.mounts === 'notIsolated') return;
  const lines = (await mountsOf(drill)).map((fields) => `${fields.map(escape).join(' ')} 0 0\n`);
  await replaceFile(drillPaths(drill.directory).mounts, lines.join(''), { mode: 0o600 });
}

/** Source, target, type and options, in their order. */
async function mountsOf({ name, directory, owner, hiddenPaths, hiddenDrills }: Mounted): Promise<string[][]> {
  const source = mountSource(name);
  const own = resolve(directory);
  const mounts: string[][] = [];
  // First of all, and the own one is put back: the working directory still is what was there before.
  if (hiddenDrills !== null) mounts.push([source, hiddenDrills, 'tmpfs', 'size=64k,mode=0755']);
  const made = hiddenDrills === null ? '' : ',X-mount.mkdir=0755';
  if (owner === null) {
    // All of it belongs to the copy's user, who is the worker's. It must not exchange what the worker writes.
    mounts.push(['.', own, 'none', `${READ_ONLY}${made}`]);
    const { data, tablespaces, socket } = drillPaths('');
    for (const written of [data, tablespaces, socket]) if (await lookAt(join(directory, written))) mounts.push([written, join(own, written), 'none', 'bind']);
  } else if (hiddenDrills !== null) mounts.push(['.', own, 'none', `bind${made}`]);
  for (const path of hiddenPaths) {
    // What lies among the drills is gone already.
    const info = hiddenDrills !== null && isWithin(path, hiddenDrills) ? undefined : await lookAt(path);
    if (info) mounts.push(info.isDirectory() ? [source, path, 'tmpfs', EMPTY] : ['/dev/null', path, 'none', 'bind']);
  }
  return mounts;
}

/** As in `/etc/fstab`: a path may hold what ends a field or begins a comment. */
function escape(field: string): string {
  return field.replaceAll(/[\s\\#]/g, (character) => `\\${character.charCodeAt(0).toString(8).padStart(3, '0')}`);
}
