import { execFileSync } from 'node:child_process';
import { closeSync, constants, mkdirSync, mkdtempSync, openSync, rmSync } from 'node:fs';
import { stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { judgeIsolation } from '../../activities/archive-provider/preflight.ts';
import { asKnown, notAsWhom, productionHere } from '../../activities/archive-provider/production-here.ts';
import { serverUser } from '../../activities/postgres/server-user.ts';
import { configurationSchema } from '../../contracts/configuration.ts';

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
  expect(judgeIsolation(asKnown(whole, first!), 'bestEffort')).toMatchObject({ outcome: 'skipped', detail: expect.stringMatching(/cannot be hidden from the drill: the repository of database "other", .*did not answer/) as string });
  expect(judgeIsolation(asKnown(whole, first!), 'required')).toMatchObject({ lacking: expect.stringContaining('database "other"') as string });
  // Whose files those are is not known: not as the user to whom they belong where nobody chose another.
  const usual = await serverUser();
  expect(notAs).toEqual(usual ? [...await notAsWhom([join(root, 'own')], { paths: [], sockets: [], unanswered: [] }), usual.uid] : [process.getuid?.()]);
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
