import { spawn } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { closePlace, drillPlace, provePlaceAbsent } from '../../activities/archive-provider/drill-place.ts';
import { closeBackupPlace, proveBackupPlaceAbsent } from '../../activities/backup/backup-place.ts';
import { destroyDrill } from '../../activities/drill/destroy.ts';
import { drillPaths } from '../../activities/drill/drill.ts';
import { findServer } from '../../activities/drill/server.ts';

const call = { database: 'shop', fence: 1, owner: { workflowId: 'dr-test/shop/gone', firstExecutionRunId: 'r' } };
const nobody = { host: '127.0.0.1', port: 1 };
let root: string;
beforeEach(() => { root = mkdtempSync(join(tmpdir(), 'drb-absence-')); });
afterEach(() => rmSync(root, { recursive: true, force: true }));

const looks: [string, (directory: string) => Promise<unknown>][] = [
  ['a drill that is to be proven absent', (directory) => provePlaceAbsent(directory, call)],
  ['a backup in progress that is to be proven absent', (directory) => proveBackupPlaceAbsent(directory, call, nobody)],
  ['a drill that is to be destroyed', (directory) => destroyDrill({ name: 'd-1', run: 'r', fence: '1', drillsDirectory: directory, productionPaths: [] })],
  ['the place of a drill', (directory) => closePlace(directory, call, [])],
  ['the place of a backup', (directory) => closeBackupPlace(directory, call)],
];

it.each(looks)('%s and cannot be looked at is not taken for absent', async (_what, look) => {
  const loop = join(root, 'loop');
  symlinkSync(loop, loop);
  await expect(look(loop)).rejects.toMatchObject({ code: 'ELOOP' });
});

it.each(looks.slice(0, 3))('%s is absent where its directory is not there, or is no directory', async (what, look) => {
  writeFileSync(join(root, 'file'), '');
  for (const name of ['nothing', 'file']) expect(await look(join(root, name))).toMatchObject(what.includes('proven') ? { found: [] } : { existed: false });
});

it('where a platform shows no environments, another process with the number in the lock file is no server of the drill', async () => {
  const actual = process.platform;
  Object.defineProperty(process, 'platform', { value: 'darwin' });
  const { data } = drillPaths(root);
  mkdirSync(data, { recursive: true });
  const stranger = spawn('sleep', ['60']);
  const server = spawn(process.execPath, ['-e', 'setTimeout(() => {}, 60_000)', '--', '-D', data]);
  try {
    for (const [child, isServer] of [[stranger, false], [server, true]] as const) {
      writeFileSync(join(data, 'postmaster.pid'), `${child.pid}\n${data}\n`);
      expect((await findServer({ directory: root }))?.pid).toBe(isServer ? child.pid : undefined);
    }
  } finally {
    Object.defineProperty(process, 'platform', { value: actual });
    stranger.kill();
    server.kill();
  }
});

it.each([['linux', ['processes']], ['darwin', []]])('a proof on %s names what that platform can show', async (platform, shown) => {
  const actual = process.platform;
  Object.defineProperty(process, 'platform', { value: platform });
  try {
    const { directory, name } = drillPlace(root, call);
    expect((await provePlaceAbsent(root, call)).looked.sort()).toEqual([...shown, `directory ${directory}`, `directory ${join(directory, name)}`].sort());
  } finally {
    Object.defineProperty(process, 'platform', { value: actual });
  }
});
