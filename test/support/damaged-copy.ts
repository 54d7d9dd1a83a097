import { execFile } from 'node:child_process';
import { readFile, readdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import type { Client } from 'pg';
import { manifestSchema } from '../../contracts/manifest.ts';
import { pageSize, sealPage } from '../../scripts/demo/damage/page-checksum.ts';
import { forgeHashes, forgeManifest, publishedPath } from '../../scripts/demo/damage/published-files.ts';

/** What is wrong in a copy of a repository that has one backup. Tables are of the schema `planted`. */
export interface WantedDamage {
  /** Another value stands in it, with right checksums. */
  changed: { table: string; value: string };
  /** Its page has a wrong checksum. */
  unreadable: string;
  /** The manifest says other contents, so that each is looked at closely. */
  tables: readonly string[];
  /** Kinds of definitions of which the manifest says others. */
  definitions: readonly string[];
}

/** Copies a repository of backups, and breaks the copy so that only comparing can notice it. */
export async function copyDamaged(client: Client, { from, to, changed, unreadable, tables, definitions }: WantedDamage & { from: string; to: string }): Promise<void> {
  await promisify(execFile)('cp', ['-a', '--reflink=auto', from, to]);
  const [id = ''] = await readdir(join(to, 'backups'));
  const backup = join(to, 'backups', id);
  await changePage(client, backup, changed.table, (page) => {
    const at = page.indexOf(changed.value, 'latin1');
    if (at < 0) throw new Error(`the first page of ${changed.table} does not hold the value`);
    page.write('X', at);
    sealPage(page, 0);
  });
  await changePage(client, backup, unreadable, (page) => { page.writeUInt8(page.readUInt8(pageSize - 1) ^ 1, pageSize - 1); });

  const manifest = manifestSchema.parse(JSON.parse(await readFile(join(backup, 'manifest.json'), 'utf8')));
  const plusOne = (sum: string) => String(BigInt(sum) + 1n);
  for (const table of manifest.databases.flatMap((database) => database.tables)) {
    if (!tables.includes(table.name)) continue;
    table.fingerprint = plusOne(table.fingerprint);
    for (const bucket of table.buckets) bucket.fingerprint = plusOne(bucket.fingerprint);
  }
  for (const object of [...manifest.globals, ...manifest.databases.flatMap(({ catalog }) => catalog)]) {
    if (definitions.includes(object[0]) && object[1].includes('planted')) object[2] = '0'.repeat(16);
  }
  await forgeManifest(backup, JSON.stringify(manifest));
}

/** The first page of a table, as it was published. */
async function changePage(client: Client, backup: string, table: string, change: (page: Buffer) => void): Promise<void> {
  const { rows: [row] } = await client.query<{ path: string }>('SELECT pg_relation_filepath($1::regclass) AS path', [`planted.${table}`]);
  const published = publishedPath(row?.path ?? '');
  const content = await readFile(join(backup, published));
  change(content.subarray(0, pageSize));
  await writeFile(join(backup, published), content);
  await forgeHashes(backup, published);
}
