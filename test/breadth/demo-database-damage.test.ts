import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { chmod, cp, mkdir, mkdtemp, readdir, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { Client } from 'pg';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { findPostgres, type PostgresBinaries } from '../../activities/postgres/binaries.ts';
import { loadShop } from '../../scripts/demo/load.ts';
import { damageBackup, damageKinds, readColdTables, silentDamageKinds, type ColdTable } from '../../scripts/demo/damage.ts';
import { pageChecksum, pageSize, storedChecksum } from '../../scripts/demo/damage/page-checksum.ts';
import { startProduction, type ConnectionConfig, type Production } from '../../scripts/demo/production.ts';

let root: string;
let binaries: PostgresBinaries;
let production: Production;
let coldTables: ColdTable[];
let sound: Record<string, string>;

beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), 'demo-damage-'));
  binaries = await findPostgres({ major: 18 });
  await chmod(root, 0o711); // the server's user must be able to enter
  production = await startProduction({ root: join(root, 'production'), binaries, log: () => {} });
  await loadShop({ config: production.config, tablespaceDirectory: production.tablespaceDirectory, scale: 0.02 });
  coldTables = await readColdTables(production.config);
  sound = await fingerprints(production.config);
  await publishBackup();
});

afterAll(async () => {
  await production?.stop();
  await rm(root, { recursive: true, force: true });
});

/** Each cold table's exact content, by name. */
async function fingerprints(config: ConnectionConfig): Promise<Record<string, string>> {
  const client = new Client(config);
  await client.connect();
  try {
    const found: Record<string, string> = {};
    for (const { name } of coldTables) {
      const { rows } = await client.query<{ h: string }>(`SELECT count(*) || ' ' || sum(hashtextextended(t::text, 0)) AS h FROM ${name} t`);
      found[name] = rows[0]?.h ?? '';
    }
    return found;
  } finally {
    await client.end();
  }
}

/** A backup as the layout of the repository wants it; the server stands still meanwhile in all that matters here. */
async function publishBackup(): Promise<void> {
  const backup = join(root, 'repository/backups/b1');
  await mkdir(backup, { recursive: true });
  const client = new Client(production.config);
  await client.connect();
  await client.query(`SELECT pg_backup_start('b1', true)`);
  await cp(production.dataDirectory, join(backup, 'data'), {
    recursive: true,
    filter: (path) => !/\/(pg_wal|pg_tblspc|pg_replslot)\/.|postmaster\.(pid|opts)$/.test(path),
  });
  const { rows: spaces } = await client.query<{ oid: number; at: string }>(
    `SELECT oid, pg_tablespace_location(oid) AS at FROM pg_tablespace WHERE pg_tablespace_location(oid) <> ''`);
  for (const { oid, at } of spaces) await cp(at, join(backup, 'tablespaces', String(oid)), { recursive: true });
  await client.query(`SELECT pg_logical_emit_message(true, 'x', 'x')`);
  for (let segment = 0; segment < 3; segment += 1) await client.query(`SELECT pg_switch_wal(), pg_logical_emit_message(true, 'x', 'x')`);
  const { rows: label } = await client.query<{ labelfile: string }>(`SELECT labelfile FROM pg_backup_stop(true)`);
  await client.end();
  await writeFile(join(backup, 'data/backup_label'), label[0]?.labelfile ?? '');
  const files = [];
  for (const entry of await readdir(backup, { recursive: true, withFileTypes: true })) {
    if (!entry.isFile()) continue;
    const path = join(entry.parentPath, entry.name);
    const content = await readFile(path);
    files.push({ path: path.slice(backup.length + 1), size: content.length, sha256: sha256(content) });
  }
  const list = JSON.stringify({ files });
  await writeFile(join(backup, 'files.json'), list);
  await writeFile(join(backup, 'backup.json'), JSON.stringify({ id: 'b1', filesSha256: sha256(list) }));
}

const sha256 = (content: Buffer | string) => createHash('sha256').update(content).digest('hex');

/** A private copy of the backup and its archive. */
async function copyRepository(name: string): Promise<{ repository: string; walDirectory: string; backup: string }> {
  const repository = join(root, name);
  await mkdir(repository);
  await cp(join(root, 'repository'), repository, { recursive: true });
  const walDirectory = join(repository, 'wal');
  await cp(production.archiveDirectory, walDirectory, { recursive: true });
  return { repository, walDirectory, backup: join(repository, 'backups/b1') };
}

/** Files whose hash is not what files.json says, and files that are not there. */
async function badFiles(backup: string): Promise<string[]> {
  const list = await readFile(join(backup, 'files.json'), 'utf8');
  const record = JSON.parse(await readFile(join(backup, 'backup.json'), 'utf8')) as { filesSha256: string };
  const bad = record.filesSha256 === sha256(list) ? [] : ['files.json'];
  for (const file of (JSON.parse(list) as { files: { path: string; sha256: string }[] }).files) {
    const content = await readFile(join(backup, file.path)).catch(() => undefined);
    if (!content || sha256(content) !== file.sha256) bad.push(file.path);
  }
  return bad;
}

/** Starts the backup as it lies there, reads it all, and stops it. */
async function fingerprintRestored(repository: string, backup: string): Promise<Record<string, string>> {
  const data = join(backup, 'data');
  for (const oid of await readdir(join(backup, 'tablespaces'))) {
    await mkdir(join(data, 'pg_tblspc'), { recursive: true });
    await symlink(join(backup, 'tablespaces', oid), join(data, 'pg_tblspc', oid));
  }
  await mkdir(join(data, 'pg_wal'), { recursive: true });
  await mkdir(join(data, 'pg_replslot'), { recursive: true });
  await writeFile(join(data, 'recovery.signal'), '');
  const socket = await mkdtemp(join(tmpdir(), 'dd-'));
  await writeFile(join(data, 'postgresql.auto.conf'), [`listen_addresses = ''`, `unix_socket_directories = '${socket}'`, `archive_mode = off`,
    `archive_command = ''`, `restore_command = 'cp "${repository}/wal/%f" "%p"'`, ''].join('\n'));
  execFileSync('chmod', ['-R', 'go-rwx', data]);
  if (binaries.runAs) execFileSync('chown', ['-R', `${binaries.runAs.uid}:${binaries.runAs.gid}`, repository, socket]);
  const control = (...args: string[]) =>
    execFileSync(join(binaries.binDirectory, 'pg_ctl'), ['-D', data, '-s', '-w', ...args], { ...binaries.runAs, cwd: socket, stdio: 'pipe' });
  control('start', '-l', join(dirname(backup), 'server.log'));
  try {
    return await fingerprints({ ...production.config, host: socket });
  } finally {
    control('stop', '-m', 'immediate');
    await rm(socket, { recursive: true, force: true });
  }
}

test('the checksum of every page of a real cluster is the one that PostgreSQL wrote', async () => {
  let pages = 0;
  for (const { path } of coldTables) {
    const content = await readFile(join(production.dataDirectory, path));
    for (let page = 0; page * pageSize < content.length; page += 1) {
      const bytes = content.subarray(page * pageSize, (page + 1) * pageSize);
      if (bytes.every((byte) => byte === 0)) continue;
      expect(storedChecksum(bytes), `${path} page ${page}`).toBe(pageChecksum(bytes, page));
      pages += 1;
    }
  }
  expect(pages).toBeGreaterThan(100);
});

test('the same seed breaks the same backup in the same place', async () => {
  const one = await copyRepository('seeded-1');
  const two = await copyRepository('seeded-2');
  const input = { backupId: 'b1', coldTables, seed: 5, kind: 'valuesSwapped' } as const;
  expect(await damageBackup({ ...one, ...input })).toEqual(await damageBackup({ ...two, ...input }));
  expect(await badFiles(one.backup)).toEqual(await badFiles(two.backup));
});

test.each(['flippedBit', 'missingFile'] as const)('%s is what the hashes of the backup notice', async (kind) => {
  const { backup, ...where } = await copyRepository(kind);
  const damage = await damageBackup({ ...where, backupId: 'b1', coldTables, kind, seed: 1 });
  const [bad, ...others] = await badFiles(backup);
  expect(others).toEqual([]);
  expect(damage.expectedNames).toContain(bad);
});

test.each(['missingSegment', 'truncatedSegment'] as const)('%s hits a segment in the middle of the archive', async (kind) => {
  const { backup, repository, walDirectory } = await copyRepository(kind);
  const before = (await readdir(walDirectory)).filter((name) => /^[0-9A-F]{24}$/.test(name)).sort();
  const damage = await damageBackup({ repository, walDirectory, backupId: 'b1', coldTables, kind, seed: 2 });
  const at = before.indexOf(damage.expectedNames[0] ?? '');
  expect(at).toBeGreaterThan(0);
  expect(at).toBeLessThan(before.length - 1);
  expect((await readdir(walDirectory)).includes(before[at] ?? '')).toBe(kind === 'truncatedSegment');
  expect(await badFiles(backup)).toEqual([]);
});

test.each(silentDamageKinds)('%s passes hashes, checksums and recovery, and changes one table', async (kind) => {
  const { backup, ...where } = await copyRepository(kind);
  const damage = await damageBackup({ ...where, backupId: 'b1', coldTables, kind, seed: 3 });
  expect(damageKinds).toContain(damage.kind);
  expect(await badFiles(backup)).toEqual([]);
  const restored = await fingerprintRestored(where.repository, backup);
  const changed = coldTables.map(({ name }) => name).filter((name) => restored[name] !== sound[name]);
  expect(changed).toEqual(damage.expectedNames);
});
