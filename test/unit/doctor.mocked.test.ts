import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { chmod, chown, mkdir, mkdtemp, rm, utimes, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { WorkflowNotFoundError, type Client } from '@temporalio/client';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { openPlace, PLACE_RECORD, placeName } from '../../activities/archive-provider/drill-place.ts';
import type * as isolation from '../../activities/drill/isolation.ts';
import { segmentFileName } from '../../activities/archive/wal.ts';
import { findPostgres } from '../../activities/postgres/binaries.ts';
import { configurationSchema } from '../../contracts/configuration.ts';
import type { RecoveryPoint } from '../../contracts/recovery-point.ts';
import { examineBackups } from '../../scripts/cli/doctor-backups.ts';
import { Findings } from '../../scripts/cli/doctor-finding.ts';
import { examineHost } from '../../scripts/cli/doctor-host.ts';
import { examineLeftovers } from '../../scripts/cli/doctor-leftovers.ts';
import { adviceFor, type SourceFacts } from '../../scripts/cli/doctor-source.ts';
import { describedBackup, publishDescription } from '../support/described-backup.ts';
import { runAs } from '../support/postgres.ts';

const probed = vi.hoisted(() => vi.fn<() => Promise<unknown>>());
vi.mock('../../activities/drill/isolation.ts', async (original) => ({ ...await original<typeof isolation>(), probeIsolation: probed }));

let root: string;
beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), 'doctor-'));
  await mkdir(join(root, 'wal'));
});
afterEach(() => rm(root, { recursive: true }));

function configurationOf({ network = 'bestEffort', repository = join(root, 'repository') } = {}) {
  const configuration = configurationSchema.parse({
    version: 1, drills: { directory: join(root, 'drills'), reserve: '1kB', network }, evidence: { directory: join(root, 'evidence') },
    databases: { shop: { connection: {}, provider: { kind: 'archive', repository, walDirectory: join(root, 'wal') } } },
  });
  return { configuration, settings: configuration.databases['shop']! };
}

describe('the WAL archive', () => {
  const LAST = '00000001000000000000002A';
  const OURS = '7710768011619139241';
  const segment = (name: string, of = OURS) => {
    const header = Buffer.alloc(40);
    header.writeBigInt64LE(BigInt(of), 24);
    return writeFile(join(root, 'wal', name), header);
  };
  async function archive(lastArchived: SourceFacts['lastArchived']) {
    const findings = new Findings('shop');
    const { configuration, settings } = configurationOf();
    await examineBackups(settings, configuration, { major: 18, lastArchived, segmentSize: 16 * 1024 * 1024, systemIdentifier: OURS, toCopy: { bytes: 1, of: 'files' } }, findings);
    return findings.all.find(({ name }) => name === 'WAL archive');
  }

  it('is the right one when it holds what the source archived last', async () => {
    await writeFile(join(root, 'wal', LAST), '');
    expect(await archive(LAST)).toMatchObject({ outcome: 'ok' });
    expect(await archive(null)).toMatchObject({ outcome: 'ok' });
  });

  it('is a problem when it is empty, or holds the WAL of something else', async () => {
    expect(await archive(LAST)).toMatchObject({ outcome: 'problem', detail: expect.stringContaining(`does not hold ${LAST}`) as string, todo: expect.stringContaining('provider.walDirectory') as string });
    expect(await archive(null)).toMatchObject({ outcome: 'problem', detail: expect.stringContaining('nothing of a WAL archive') as string });
    await writeFile(join(root, 'wal', '000000010000000000000001'), '');
    expect(await archive(LAST)).toMatchObject({ outcome: 'problem', detail: expect.stringContaining('another server') as string });
  });

  it.each([
    [LAST, '000000010000000000000027', 3], [`${LAST}.00000028.backup`, '000000010000000000000029', 1], [`${LAST}.partial`, '000000010000000000000029', 1],
    ['000000010000000100000001', '0000000100000000000000FE', 3],
  ])('that lacks %s and ends with %s lags: a drill works, with less', async (last, newest, behind) => {
    await segment('000000010000000000000001');
    await segment(newest);
    expect(await archive(last)).toMatchObject({ outcome: 'warning', detail: expect.stringContaining(`is ${behind} segment(s) behind ${last}`) as string });
  });

  it('is the right one when only the note of a backup is not there', async () => {
    await segment(LAST);
    expect(await archive(`${LAST}.00000028.backup`)).toMatchObject({ outcome: 'ok' });
  });

  it.each([
    ['that another server wrote', '000000010000000000000029', '7710768011619139242'], ['of another timeline', '000000020000000000000029', OURS],
    ['from after it only', '00000001000000000000002B', OURS], ['from long ago', '000000010000000000000029', OURS, '000000010000000200000029'],
  ])('is a problem when near its end is only WAL %s', async (_of, name, cluster, last = LAST) => {
    await segment(name, cluster);
    expect(await archive(last)).toMatchObject({ outcome: 'problem', detail: expect.stringContaining('another server') as string });
  });
});

it.each([['within its repository', 'problem'], ['beside it', undefined]])('a directory for drills %s: %s', async (where, outcome) => {
  const findings = new Findings('shop');
  const { configuration, settings } = configurationOf(where === 'beside it' ? {} : { repository: root });
  await examineBackups(settings, configuration, undefined, findings);
  expect(findings.all.find(({ name }) => name === 'drills directory')?.outcome).toBe(outcome);
});

describe('recovery points', () => {
  const backups = () => join(root, 'repository', 'backups');
  const found = async () => {
    const findings = new Findings('shop');
    const { configuration, settings } = configurationOf();
    await examineBackups(settings, configuration, undefined, findings);
    return findings.all.filter(({ name }) => name === 'recovery point');
  };

  it('that are nowhere are looked for before a first one is taken: their file system may not be mounted', async () => {
    const todo = expect.stringMatching(/^look whether its file system is mounted, and whether provider\.repository is the right directory; .* take a first backup with: runbook start backup$/) as string;
    expect(await found()).toEqual([{ about: 'shop', name: 'recovery point', outcome: 'problem', detail: `there is no directory ${backups()}`, todo }]);
    await mkdir(backups(), { recursive: true });
    expect(await found()).toEqual([{ about: 'shop', name: 'recovery point', outcome: 'problem', detail: `${backups()} holds none at all`, todo }]);
  });

  it('that cannot be read are not to be moved away, nor is a new one needed for them', async () => {
    await mkdir(join(backups(), 'b1', 'backup.json'), { recursive: true });
    expect(await found()).toMatchObject([
      { outcome: 'warning', detail: expect.stringMatching(/^b1 cannot be used: .*backup\.json cannot be read: EISDIR: [^;]*$/) as string, todo: expect.stringMatching(/^look what lies there, .* are the right ones$/) as string },
      { outcome: 'problem', detail: `there is none in ${backups()} that can be used` },
    ]);
    await rm(backups(), { recursive: true });
    await writeFile(backups(), '');
    expect(await found()).toMatchObject([{ outcome: 'problem', detail: expect.stringMatching(/cannot be read: ENOTDIR: [^;]*$/) as string, todo: expect.stringMatching(/^look what lies there, /) as string }]);
  });
});

describe('a drill of the newest backup', () => {
  // Good for all three files that are proven by a hash.
  const TEXT = '{"directories":[],"files":[]}';
  const sha256 = createHash('sha256').update(TEXT).digest('hex');
  const described = (over: Partial<RecoveryPoint> = {}) => describedBackup({ walSegmentSize: 2 ** 20, serverMajor: major, filesSha256: sha256, backupLabelSha256: sha256, tablespaceMapSha256: sha256, ...over });
  let major = 0;
  beforeEach(async () => {
    major = Number.parseInt((await findPostgres()).version, 10);
    probed.mockResolvedValue({ network: 'isolated', mounts: 'isolated', reason: null });
  });
  const sourceOf = (over: Partial<SourceFacts>): SourceFacts => ({ major, lastArchived: null, segmentSize: 2 ** 20, systemIdentifier: '7', toCopy: { bytes: 1, of: 'files' }, ...over });
  interface Sizes { backup?: number; source?: { bytes: number; of?: 'files' | 'databases'; systemIdentifier?: string } }
  /** What is said of room for the next backup, before the first one or after one of a size, and by what the source says, if it does. */
  async function room({ backup, source }: Sizes, host?: string) {
    const facts = source && sourceOf({ systemIdentifier: source.systemIdentifier ?? '7', toCopy: { bytes: source.bytes, of: source.of ?? 'files' } });
    const found = backup === undefined ? await lookAt(facts, host) : await examined(described({ sizeBytes: backup }), facts, host);
    return found.find(({ name }) => name === 'room for a backup');
  }
  async function examined(point: RecoveryPoint, facts?: SourceFacts, host?: string) {
    publishDescription(join(root, 'repository', 'backups'), point);
    for (const file of ['files.json', 'backup_label', 'tablespace_map']) await writeFile(join(root, 'repository', 'backups', point.id, file), TEXT);
    await writeFile(join(root, 'wal', segmentFileName({ timeline: 1, segmentNumber: 32n, segmentSize: 2 ** 20 })), Buffer.alloc(2 ** 20));
    return lookAt(facts, host);
  }
  async function lookAt(facts?: SourceFacts, host?: string) {
    const findings = new Findings('shop');
    const { configuration, settings } = configurationOf();
    await examineBackups({ ...settings, host }, configuration, facts, findings);
    return findings.all;
  }
  const database = { name: 'shop', oid: '1', encoding: 'UTF8', localeProvider: 'libc' as const, collationVersion: '1', sizeBytes: 1, extensions: [{ name: 'no_such_extension', version: '1' }] };

  it('is said to be possible where it is, and nothing is made for that', async () => {
    const found = await examined(described());
    expect(found.filter(({ outcome }) => outcome !== 'ok' && outcome !== 'warning')).toEqual([]);
    expect(found).toContainEqual(expect.objectContaining({ name: 'disk space', outcome: 'ok', detail: expect.stringMatching(process.getuid?.() === 0 ? /MiB needed$/ : /WAL counted twice$/) as string }));
    expect(existsSync(join(root, 'drills'))).toBe(false);
  });

  it('is not said to lack a library that is there by any of its names, that it may look for elsewhere, or that comes with an extension which is told already', async () => {
    const there = ['$libdir/plpgsql', '$libdir/plpgsql.so', 'plpgsql', join(root, 'wal', 'mine'), 'some/where', '$elsewhere/x'].map((file) => ({ file, extension: null }));
    await writeFile(join(root, 'wal', 'mine.so'), '');
    const found = await examined(described({ databases: [{ ...database, libraries: [...there, { file: '$libdir/no_such_extension', extension: 'no_such_extension' }] }] }));
    expect(found.filter(({ outcome }) => outcome === 'problem').map(({ name }) => name)).toEqual(['extensions']);
    expect(await examined(described({ databases: [{ ...database, extensions: [], libraries: there }] }))).toContainEqual(expect.objectContaining({ name: 'extensions', outcome: 'ok', detail: 'all that the backup uses are installed' }));
  });

  it('is followed by another backup only where there is room for one as large, where the source says nothing', async () => {
    expect(await room({ backup: 1_000 })).toBeUndefined();
    expect(await room({ backup: 1e18 })).toMatchObject({ outcome: 'warning', detail: expect.stringMatching(/the backup needs \d+ MiB \(.*\), if it is as large as the newest$/) as string, todo: expect.stringContaining('provider.repository') as string });
  });

  const isCounted = expect.stringMatching(/the backup needs \d+ MiB \(\d+ MiB to copy, and a reserve of 1 MiB\)$/) as string;
  it.each([
    ['a source that has grown since', { backup: 1_000, source: { bytes: 1e18 } }, isCounted],
    ['a source of which there is no backup yet', { source: { bytes: 1e18 } }, isCounted],
    ['a source that has shrunk since', { backup: 1e18, source: { bytes: 1_000 } }, undefined],
    ['databases of a size, whose files are elsewhere', { source: { bytes: 1e18, of: 'databases' } }, expect.stringMatching(/\), by the sizes of the databases: less where tables are unlogged$/) as string],
    ['databases whose size the role may not know', { backup: 1e18, source: { bytes: 0, of: 'databases' } }, expect.stringMatching(/as large as the newest$/) as string],
    ['databases, and not for the backup of another cluster', { backup: 1e18, source: { bytes: 1_000, of: 'databases', systemIdentifier: '8' } }, undefined],
  ] as const)('needs room for %s', async (_what, sizes, detail) => {
    const found = async (host?: string) => [await room(sizes, host)].map((finding) => ({ outcome: finding?.outcome, detail: finding?.detail }));
    expect(await found()).toEqual([{ outcome: detail && 'warning', detail }]);
    // A host that is named takes the backups; others may only drill.
    expect(await found('this-one')).toEqual([{ outcome: detail && 'problem', detail }]);
  });

  it('is a problem where the backup is of another cluster than the source', async () => {
    const of = async (systemIdentifier: string) => (await examined(described({ systemIdentifier: '7' }), sourceOf({ systemIdentifier }))).filter(({ outcome }) => outcome === 'problem');
    expect(await of('7')).toEqual([]);
    expect(await of('8')).toEqual([{
      about: 'shop', name: 'recovery point', outcome: 'problem', detail: 'recovery point b1 is of cluster 7, and the source is cluster 8: a drill of it says nothing of the source, and is not proven',
      todo: 'correct connection or provider.repository, or, where the cluster was made anew (pg_upgrade, initdb), take a backup of it',
    }]);
  });

  it.each([
    ['disk space', { sizeBytes: 2 ** 50 }, /the drill needs 10737/, /free some/],
    ['architecture', { architecture: 'pdp11' }, /of a pdp11 server/, /same architecture/],
    ['collation version', { glibcVersion: '0.1', databases: [{ ...database, extensions: null }] }, /sorted by glibc 0\.1/, /same glibc/],
    ['extensions', { databases: [database] }, /no_such_extension/, /install their packages/],
    ['libraries', { databases: [{ ...database, extensions: [{ name: 'plpgsql', version: '2.5' }], libraries: [{ file: '$libdir/plpgsql', extension: null }, { file: '$libdir/no_such', extension: 'plpgsql' }, { file: 'nor_this', extension: null }] }] },
      /^this host's PostgreSQL lacks the libraries \$libdir\/no_such \(extension plpgsql 2\.5\), nor_this that functions of the backup are in$/, /^install their packages, in the versions that the source has$/],
    ['recovery point', { filesSha256: '0'.repeat(64) }, /files\.json/, /backup/],
  ])('is a problem where its pre-flight would refuse: %s', async (name, over, detail, todo) => {
    expect(await examined(described(over))).toContainEqual({ about: 'shop', name, outcome: 'problem', detail: expect.stringMatching(detail) as string, todo: expect.stringMatching(todo) as string });
  });
});

describe('left-over drills', () => {
  const call = { database: 'shop', fence: 1, owner: { workflowId: 'dr-test/shop/lost', firstExecutionRunId: 'gone' } };
  const guardedBy = (describe: () => Promise<unknown>) => ({ workflow: { getHandle: () => ({ describe }) } }) as unknown as Client;
  const drills = () => join(root, 'drills');
  const find = (guardian = () => Promise.resolve<unknown>({ status: { name: 'COMPLETED' } })) => examineLeftovers({ client: guardedBy(guardian) }, configurationOf().configuration);
  /** As a user who does not own the drills: root becomes another, and anybody else gives up a right. */
  async function asAnother(path: string, work: () => Promise<void>): Promise<void> {
    const { uid } = runAs();
    if (uid === undefined) await chmod(path, 0o111);
    else process.seteuid?.(uid);
    try {
      await work();
    } finally {
      if (uid !== undefined) process.seteuid?.(0);
      else await chmod(path, 0o711);
    }
  }

  it('are none where no drill was ever made, or only a stray file lies there', async () => {
    expect(await find()).toMatchObject([{ outcome: 'ok', detail: `there is none in ${drills()}` }]);
    await mkdir(drills());
    await writeFile(join(drills(), 'notes'), '');
    expect(await find()).toMatchObject([{ outcome: 'ok' }]);
  });

  it('are a problem when their runs are over', async () => {
    await openPlace(drills(), call);
    expect(await find()).toMatchObject([{ outcome: 'problem', detail: expect.stringContaining(call.owner.workflowId) as string }]);
  });

  it('are a warning when the server does not know their runs, and a problem when that has lasted for the whole lease', async () => {
    await openPlace(drills(), call);
    const unknown = () => Promise.reject(new WorkflowNotFoundError('no such run', 'guardian', undefined));
    expect(await find(unknown)).toMatchObject([{ outcome: 'warning', detail: expect.stringMatching(/this server does not know its run dr-test\/shop\/lost/) as string, todo: expect.stringMatching(/removes it after 20\d\d-/) as string }]);
    await utimes(join(drills(), placeName({ owner: call.owner, fence: 1 }), PLACE_RECORD), 0, 0);
    expect(await find(unknown)).toMatchObject([{ outcome: 'problem' }]);
    expect(await find(() => Promise.resolve({ status: { name: 'RUNNING' } }))).toMatchObject([{ outcome: 'ok' }]);
  });

  it('of a run with a lease of its own are a problem when that has ended, whatever the lease of this worker', async () => {
    const unknown = () => Promise.reject(new WorkflowNotFoundError('no such run', 'guardian', undefined));
    const record = join(drills(), placeName({ owner: call.owner, fence: 1 }), PLACE_RECORD);
    const dayMs = 86_400_000;
    await openPlace(drills(), { ...call, leaseMs: 10 * dayMs });
    await utimes(record, 0, 0);
    expect(await find(unknown)).toMatchObject([{ outcome: 'warning', todo: expect.stringContaining(`removes it after ${new Date(Date.now() + 10 * dayMs).toISOString().slice(0, 7)}`) as string }]);
    await openPlace(drills(), { ...call, leaseMs: -1 });
    expect(await find(unknown)).toMatchObject([{ outcome: 'problem' }]);
  });

  it('are not said to be none by a user who may not list them, or not read what they say', async () => {
    await chmod(root, 0o755);
    await openPlace(drills(), call);
    const unseen = (path: string) => [{ outcome: 'skipped', detail: expect.stringContaining(`${path} cannot be looked at as this user`) as string }];
    await asAnother(drills(), async () => expect(await find()).toMatchObject(unseen(drills())));
    await chmod(drills(), 0o755);
    const place = join(drills(), placeName({ owner: call.owner, fence: 1 }));
    await asAnother(join(place, PLACE_RECORD), async () => expect(await find()).toMatchObject(unseen(place)));
  });

  it('are not said to be none where a record is half written, or the directory is none', async () => {
    await openPlace(drills(), call);
    const place = join(drills(), placeName({ owner: call.owner, fence: 1 }));
    await writeFile(join(place, PLACE_RECORD), '{"database":"sh');
    expect(await find()).toMatchObject([{ outcome: 'warning', detail: expect.stringContaining(`${place} cannot be looked at, and may hold a copy of production`) as string }]);
    await rm(drills(), { recursive: true });
    await writeFile(drills(), '');
    expect(await find()).toMatchObject([{ outcome: 'warning', detail: expect.stringContaining('ENOTDIR') as string }]);
  });
});

describe('isolation', () => {
  const found = async (network: string) => (await examineHost(configurationOf({ network }).configuration)).find(({ name }) => name === 'isolation');

  it('is judged as a drill judges it: without sight of its files, production can be reached as well as by the network', async () => {
    probed.mockResolvedValue({ network: 'isolated', mounts: 'notIsolated', reason: 'mount: denied' });
    expect(await found('required')).toMatchObject({ outcome: 'problem', detail: "production's files and sockets on this host cannot be hidden from the drill (mount: denied)", todo: expect.stringContaining('drills.network') as string });
    expect(await found('bestEffort')).toMatchObject({ outcome: 'warning' });
    probed.mockResolvedValue({ network: 'isolated', mounts: 'isolated', reason: null });
    expect(await found('required')).toMatchObject({ outcome: 'ok' });
    // As the owner of production's data directory, that does not help.
    const owner = runAs().uid ?? process.getuid?.() ?? 0;
    await mkdir(join(root, 'data'));
    if (process.getuid?.() === 0) await chown(join(root, 'data'), owner, owner);
    publishDescription(join(root, 'repository', 'backups'), describedBackup({ sourceDataDirectory: join(root, 'data') }));
    const uid = vi.spyOn(process, 'getuid').mockReturnValue(owner);
    try {
      expect(await found('required')).toMatchObject({ outcome: 'problem', detail: expect.stringMatching(/^the drill cannot be kept from production's processes/) as string, todo: expect.stringMatching(/^run the worker as root, or as a user to whom nothing of production belongs; or set drills\.network/) as string });
      expect(await found('bestEffort')).toMatchObject({ outcome: 'warning' });
    } finally {
      uid.mockRestore();
    }
  });
});

it.each([
  [undefined, 'The server does not support SSL connections', /sslmode to disable/],
  ['28000', 'no pg_hba.conf entry for host "10.0.0.1", user "u", database "d", no encryption', /sslmode to require/],
  ['DEPTH_ZERO_SELF_SIGNED_CERT', 'self-signed certificate', /connection\.sslmode: verify-full/],
  ['28P01', 'password authentication failed', /password/],
])('advice for %s: %s names the setting', (code, message, advice) => {
  expect(adviceFor(code, message)).toMatch(advice);
});
