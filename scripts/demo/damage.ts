import { randomInt } from 'node:crypto';
import { readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { ColdTable } from './damage/cold-tables.ts';
import { heapRows, removeRow, widenNumeric, type HeapRow } from './damage/heap-page.ts';
import { pageSize, pagesPerFile, sealPage } from './damage/page-checksum.ts';
import { forgeHashes, middleSegments, mustExist, publishedPath, replaceFile } from './damage/published-files.ts';
import { claimKinds, claimMore } from './damage/manifest-claims.ts';
import { mulberry32 } from './writers/pool.ts';

export { readColdTables, type ColdTable } from './damage/cold-tables.ts';

/** Loud damage: hashes, continuity of the WAL or recovery itself can notice it. */
export const loudDamageKinds = ['flippedBit', 'missingFile', 'missingSegment', 'truncatedSegment'] as const;
/** Silent damage: page checksums and the backup's hashes are forged to fit, so that only comparing rows can notice it. */
export const silentDamageKinds = ['valueChanged', 'valuesSwapped', 'numericWidened', 'rowRemoved', 'duplicatesRemoved'] as const;
/** All kinds, in the order that seeds draw from. */
export const damageKinds = [...loudDamageKinds, ...silentDamageKinds, ...claimKinds] as const;
/** One of {@link damageKinds}. */
export type DamageKind = (typeof damageKinds)[number];

/** Which backup to break, where its WAL is, and what may be drawn. */
export interface DamageBackupInput {
  /** Holds `backups/<id>/`. */
  repository: string;
  backupId: string;
  walDirectory: string;
  /** From `readColdTables`, read before or after the backup. */
  coldTables: readonly ColdTable[];
  /** Which damage; drawn by the seed if left out. */
  kind?: DamageKind;
  /** Draws the kind, the table, the page, the rows, the segment. Default: a new one. */
  seed?: number;
}

/** What was broken: enough to do it again, and to tell whether a drill has found it. */
export interface Damage {
  kind: DamageKind;
  seed: number;
  /** One sentence: what was done, where. */
  description: string;
  /** A drill that says what is wrong names at least one of these: a table, file or segment. */
  expectedNames: string[];
}

/** Really breaks a published backup in one way. The same seed breaks the same backup in the same place. */
export async function damageBackup(input: DamageBackupInput): Promise<Damage> {
  const seed = input.seed ?? randomInt(1_000_000);
  const random = mulberry32(seed);
  const draw = <T>(choices: readonly T[]): T => {
    const drawn = choices[Math.floor(random() * choices.length)];
    if (drawn === undefined) throw new Error('nothing to draw from');
    return drawn;
  };
  const drawnKind = draw(damageKinds);
  const kind = input.kind ?? drawnKind;
  const backup = join(input.repository, 'backups', input.backupId);
  const done = (description: string, ...expectedNames: string[]): Damage => ({ kind, seed, description, expectedNames });

  const claimed = claimKinds.find((claim) => claim === kind);
  if (claimed) {
    const { description, expectedNames } = await claimMore(backup, claimed);
    return done(description, ...expectedNames);
  }
  if (kind === 'missingSegment' || kind === 'truncatedSegment') {
    const segment = draw(await middleSegments(backup, input.walDirectory));
    const path = join(input.walDirectory, segment);
    if (kind === 'missingSegment') {
      await rm(path);
      return done(`WAL segment ${segment} removed`, segment);
    }
    const content = await readFile(path);
    const kept = pageSize * Math.floor(random() * (content.length / pageSize));
    await replaceFile(path, content.subarray(0, kept));
    return done(`WAL segment ${segment} cut from ${content.length} to ${kept} bytes`, segment);
  }

  const fitting = input.coldTables.filter((table) => table.pages > 0 && table.duplicated === (kind === 'duplicatesRemoved'));
  const table = draw(fitting);
  const page = Math.floor(random() * Math.max(1, table.pages - 1));
  const file = Math.floor(page / pagesPerFile);
  const published = publishedPath(file > 0 ? `${table.path}.${file}` : table.path);
  const path = join(backup, published);
  await mustExist(path);
  if (kind === 'missingFile') {
    await rm(path);
    return done(`${published} (${table.name}) removed`, published, table.path);
  }
  const what = await breakPage({ path, page, table, kind, random });
  if (kind === 'flippedBit') return done(`${what} of page ${page} in ${published} (${table.name})`, published, table.path, table.name);
  await forgeHashes(backup, published);
  return done(`${what} on page ${page} of ${table.name}, with right checksums and hashes`, table.name);
}

/** Breaks one page of a table, or the rows on it with a right checksum; says how. `page` counts from the table's beginning, `path` is of the file that holds it. */
export async function breakPage({ path, page, table, kind, random }: { path: string; page: number; table: ColdTable; kind: DamageKind; random: () => number }): Promise<string> {
  const content = await readFile(path);
  const at = (page % pagesPerFile) * pageSize;
  const bytes = content.subarray(at, at + pageSize);
  const what = kind === 'flippedBit' ? flipBit(bytes, random) : changeRows(kind, bytes, table, random);
  if (kind !== 'flippedBit') sealPage(bytes, page);
  await replaceFile(path, content);
  return what;
}

function flipBit(bytes: Buffer, random: () => number): string {
  const upper = bytes.readUInt16LE(14);
  const byte = upper + Math.floor(random() * (pageSize - upper));
  const bit = Math.floor(random() * 8);
  bytes.writeUInt8(bytes.readUInt8(byte) ^ (1 << bit), byte);
  return `bit ${bit} of byte ${byte} flipped`;
}

/** Changes a page's content in a way that leaves the page well-formed; returns what it did. */
function changeRows(kind: DamageKind, bytes: Buffer, table: ColdTable, random: () => number): string {
  const rows = heapRows(bytes);
  const start = Math.floor(random() * rows.length);
  const from = [...rows.slice(start), ...rows.slice(0, start)];
  const first = from[0];
  if (!first) throw new Error(`the page of ${table.name} has no rows`);
  const integer = (row: HeapRow) => row.data.readInt32LE(table.integerAt);
  switch (kind) {
    case 'valueChanged':
      first.data.writeInt32LE(integer(first) ^ 1, table.integerAt);
      return 'one integer value changed';
    case 'valuesSwapped': {
      const second = from.find((row) => integer(row) !== integer(first));
      if (!second) throw new Error(`the page of ${table.name} has no two different values`);
      const [a, b] = [integer(first), integer(second)];
      first.data.writeInt32LE(b, table.integerAt);
      second.data.writeInt32LE(a, table.integerAt);
      return "two rows' values swapped";
    }
    case 'numericWidened':
      if (!from.some((row) => widenNumeric(row.data, table.numericAt))) throw new Error(`${table.name} has no short numeric there`);
      return 'one number shown with one more zero (1.0 as 1.00)';
    case 'rowRemoved':
      removeRow(bytes, first);
      return 'one row removed';
    case 'duplicatesRemoved': {
      const twin = from.slice(1).find((row) => row.data.equals(first.data));
      if (!twin) throw new Error(`the page of ${table.name} has no equal rows`);
      removeRow(bytes, first);
      removeRow(bytes, twin);
      return 'two equal rows removed';
    }
    default:
      throw new Error(`${kind} does not change rows`);
  }
}
