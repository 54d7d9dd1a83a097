import { execFileSync } from 'node:child_process';
import { closeSync, constants, mkdirSync, mkdtempSync, openSync, rmSync, statSync } from 'node:fs';
import { stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { judgeIsolation } from '../../activities/archive-provider/preflight.ts';
import { asKnown, asProduction, notAsWhom, productionHere } from '../../activities/archive-provider/production-here.ts';
import { serverUser } from '../../activities/postgres/server-user.ts';
import { configurationSchema } from '../../contracts/configuration.ts';
import { describedBackup, publishDescription } from '../support/described-backup.ts';

let root: string;
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'drb-here-'));
  for (const name of ['own', 'other']) for (const directory of ['backups', 'wal']) mkdirSync(join(root, name, directory), { recursive: true });
});
afterEach(() => rmSync(root, { recursive: true, force: true }));

const databaseIn = (name: string) => ({ connection: { host: join(root, name), port: 1 }, provider: { kind: 'archive', repository: join(root, name), walDirectory: join(root, name, 'wal') } });
const look = () => productionHere(configurationSchema.parse({ version: 1, databases: { own: databaseIn('own'), other: databaseIn('other') } }), 500);
const whole = { network: 'isolated', mounts: 'isolated', reason: null } as const;

it('the repository of another database that hangs keeps nobody from a drill, holds one thread, and is taken for one that cannot be hidden', async () => {
  const pipe = join(root, 'other', 'backups', 'b1', 'backup.json');
  mkdirSync(join(pipe, '..'));
  // As a file on a mount whose server is gone: opening it does not come back.
  execFileSync('mkfifo', [pipe]);
  const seen = [...await Promise.all([look(), look()]), await look(), await look(), await look()];
  const answer = await Promise.race([stat('/').then(() => 'answers'), sleep(2_000).then(() => 'hangs')]);
  const notAs = await notAsWhom([], seen[0]!);
  const ends = Array.from({ length: 6 }, () => openSync(pipe, constants.O_RDWR));
  await sleep(100);
  ends.forEach(closeSync);
  expect(answer).toBe('answers');
  for (const { paths } of seen) expect(paths).toEqual([join(root, 'own'), join(root, 'own', 'wal')]);
  const sentence = (why: string) => [`the repository of database "other", ${join(root, 'other')}, or its archive cannot be looked into (${why})`];
  expect(seen.map(({ unanswered }) => unanswered)).toEqual([...[1, 2].map(() => sentence('it did not answer within 0.5 s')), ...[1, 2, 3].map(() => sentence('the last attempt has not come back yet'))]);
  const [first] = seen;
  expect(judgeIsolation(asKnown(whole, first!), null, 'bestEffort')).toMatchObject({ outcome: 'skipped', detail: expect.stringMatching(/cannot be hidden from the drill: the repository of database "other", .*did not answer/) as string });
  expect(judgeIsolation(asKnown(whole, first!), null, 'required')).toMatchObject({ lacking: expect.stringContaining('database "other"') as string });
  // Whose files those are is not known: not as the user to whom they belong where nobody chose another.
  const usual = await serverUser();
  expect(notAs).toEqual(usual ? [...await notAsWhom([join(root, 'own')], { paths: [], ofServers: [], sockets: [], unanswered: [] }), usual.uid] : [process.getuid?.()]);
  // The description is there now, and is none: that is an answer.
  rmSync(pipe);
  await vi.waitFor(async () => expect((await look()).unanswered).toEqual([]));
});

it('repositories that answer, or are not there, leave what is known of isolation as it is', async () => {
  rmSync(join(root, 'other'), { recursive: true });
  const here = await look();
  expect(here.unanswered).toEqual([]);
  expect(asKnown(whole, here)).toBe(whole);
  expect(here.paths).toContain(join(root, 'other', 'wal'));
});

it("a worker that is not root may own backups and archive, and not what production's server has, of any database", async () => {
  const binaries = { binDirectory: '/usr/bin' };
  const uid = vi.spyOn(process, 'getuid').mockReturnValue(statSync(root).uid);
  try {
    const here = await look();
    const source = { owners: await notAsWhom([], here), ofServer: [] };
    expect(source.owners).toEqual([statSync(root).uid]);
    expect(await asProduction(binaries, source, here)).toBeNull();
    publishDescription(join(root, 'other', 'backups'), describedBackup({ sourceDataDirectory: root }));
    expect(await asProduction(binaries, source, await look())).toBe(`it runs as user ${statSync(root).uid}, as the worker does, to whom production's server belongs`);
    uid.mockReturnValue(statSync(root).uid + 1);
    expect(await asProduction(binaries, source, await look())).toBeNull();
    // Whom root chose because no other can read the binaries.
    expect(await asProduction({ ...binaries, runAs: { uid: statSync(root).uid, gid: 0 } }, source, await look())).toMatch(/, to whom files of production belong: no other can read \/usr\/bin$/);
  } finally {
    uid.mockRestore();
  }
});
