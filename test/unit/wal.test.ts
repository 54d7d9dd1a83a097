import { once } from 'node:events';
import { appendFileSync, mkdirSync, mkdtempSync, rmSync, utimesSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { firstArrival } from '../../activities/archive/arrival.ts';
import { checkWalContinuity, parseHistory, parseSegmentFileName, readLineage, segmentFileName, timelineOfSegment } from '../../activities/archive/wal.ts';
import { CRC32C_START, finishCrc32c, updateCrc32c } from '../../activities/archive/crc32c.ts';
import { classify } from '../../activities/temporal/classify.ts';
import { formatLsn, parseLsn } from '../../activities/postgres/lsn.ts';
import { PATIENT } from '../support/patience.ts';

const MB = 1024 * 1024;
let directory: string;
beforeEach(() => { directory = mkdtempSync(join(tmpdir(), 'drb-wal-')); });
afterEach(() => rmSync(directory, { recursive: true, force: true }));

test('segment names follow the segment size', () => {
  expect(segmentFileName({ timeline: 1, segmentNumber: 255n, segmentSize: 16 * MB })).toBe('0000000100000000000000FF');
  expect(segmentFileName({ timeline: 0x1f, segmentNumber: 256n, segmentSize: 16 * MB })).toBe('0000001F0000000100000000');
  expect(segmentFileName({ timeline: 1, segmentNumber: 4n, segmentSize: 1024 * MB })).toBe('000000010000000100000000');
  expect(segmentFileName({ timeline: 1, segmentNumber: 4097n, segmentSize: MB })).toBe('000000010000000100000001');
});

test('names and positions survive a round trip, and other names are no segments', () => {
  for (const segmentSize of [MB, 16 * MB, 64 * MB, 1024 * MB]) {
    for (const segmentNumber of [0n, 1n, 255n, 256n, 70_000n]) {
      expect(parseSegmentFileName(segmentFileName({ timeline: 3, segmentNumber, segmentSize }), segmentSize)).toEqual({ timeline: 3, segmentNumber });
    }
  }
  expect(parseSegmentFileName('000000010000000000000100', 16 * MB)).toBeUndefined();
  expect(parseSegmentFileName('000000010000000000000001.partial', 16 * MB)).toBeUndefined();
  expect(formatLsn(parseLsn('16/B374D848'))).toBe('16/B374D848');
});

test('the segment in which a timeline ends belongs to its successor', () => {
  const lineage = parseHistory(3, '1\t0/3000100\tno recovery target specified\n\n2\t0/5000000\tbefore 2026\n');
  const owner = (segmentNumber: bigint) => timelineOfSegment(lineage, segmentNumber, 16 * MB);
  expect([2n, 3n, 4n, 5n].map(owner)).toEqual([1, 2, 2, 3]);
});

test('a history that is not there is damage; one that cannot be read is none', async () => {
  const read = () => readLineage({ walDirectory: directory, timeline: 2 }).catch(classify);
  expect(await read()).toMatchObject({ type: 'BACKUP_DAMAGED', message: expect.stringContaining('00000002.history') as string });
  mkdirSync(join(directory, '00000002.history'));
  expect(await read()).toMatchObject({ type: 'PREFLIGHT', message: expect.stringMatching(/00000002\.history cannot be read: EISDIR/) as string });
});

test('CRC-32C gives the published check value', () => {
  const bytes = Buffer.from('123456789');
  expect(finishCrc32c(updateCrc32c(CRC32C_START, bytes, 0, 9)).toString(16)).toBe('e3069283');
  const many = Buffer.from('123456789'.repeat(9));
  const inParts = updateCrc32c(updateCrc32c(CRC32C_START, many, 0, 13), many, 13, many.length);
  expect(inParts).toBe(updateCrc32c(CRC32C_START, many, 0, many.length));
});

/** `at`: seconds from now that the file claims as its modification time. */
const archive = (number: number, options: { size?: number; at?: number; suffix?: string } = {}) => {
  const path = join(directory, segmentFileName({ timeline: 1, segmentNumber: BigInt(number), segmentSize: MB }) + (options.suffix ?? ''));
  writeFileSync(path, Buffer.alloc(options.size ?? MB));
  const claimed = Date.now() / 1000 + (options.at ?? 0);
  utimesSync(path, claimed, claimed);
};
const check = (asOf: number) => checkAt(new Date(Date.now() + asOf * 1000));
const checkAt = (asOf: Date, overtakingMs = 500) => checkWalContinuity({
  walDirectory: directory, timeline: 1, startLsn: BigInt(2 * MB + 40), mustReachLsn: BigInt(3 * MB), segmentSize: MB, asOf, growthMs: 500, overtakingMs,
});

test('what was archived after the instant does not count, neither as WAL nor as a gap', async () => {
  for (const number of [2, 3]) archive(number);
  archive(5, { at: 300 });
  const found = await check(200);
  expect(found.segments.map((segment) => segment.segmentNumber)).toEqual([2n, 3n]);
  expect(found.late).toEqual(['000000010000000000000005']);
});

test('a segment that was copied in later with the older time of its original came later', async () => {
  for (const number of [2, 3]) archive(number);
  await sleep(50);
  const declared = new Date();
  await sleep(50);
  archive(4, { at: -3600 });
  const found = await checkAt(declared);
  expect(found.segments.map((segment) => segment.segmentNumber)).toEqual([2n, 3n]);
  expect(found.late).toEqual(['000000010000000000000004']);
});

test('gaps, short segments and halves are named', async () => {
  archive(2);
  archive(4);
  archive(3, { suffix: '.partial' });
  await expect(check(200)).rejects.toMatchObject({ type: 'WAL_MISSING', files: ['000000010000000000000003'], message: expect.stringContaining('.partial') });
  archive(3, { size: MB - 1 });
  await expect(check(200)).rejects.toMatchObject({ type: 'WAL_TRUNCATED', files: ['000000010000000000000003'] });
});

test('the newest segment, when it is short, has not arrived where it still grows, and is damage where it does not', async () => {
  for (const number of [2, 3]) archive(number);
  archive(4, { size: MB / 2 });
  const copying = setInterval(() => appendFileSync(join(directory, '000000010000000000000004'), 'x'), 100);
  const found = await check(200).finally(() => clearInterval(copying));
  expect(found.segments.map((segment) => segment.segmentNumber)).toEqual([2n, 3n]);
  expect(found.late).toEqual(['000000010000000000000004']);
  await expect(check(200)).rejects.toMatchObject({ type: 'WAL_TRUNCATED', files: ['000000010000000000000004'] });
});

test.each([['missing', undefined], ['short', MB / 2]])('a %s segment that a newer one has overtaken comes later, and ends the archive before it', async (_what, size) => {
  archive(2);
  if (size !== undefined) archive(3, { size });
  archive(4);
  await sleep(20);
  const declared = new Date();
  setTimeout(() => archive(3), 300);
  const found = await checkAt(declared, PATIENT.timeout);
  expect(found.segments.map((segment) => segment.segmentNumber)).toEqual([2n]);
  expect(found.late).toEqual(['000000010000000000000003', '000000010000000000000004']);
  expect((await checkAt(new Date())).segments).toHaveLength(3);
});

test('how long newer ones have lain over a gap is known of as many as an archive may hold', () => {
  const began = Date.now();
  const archivedAt = (index: number) => ({ archivedAt: new Date(began - 60_000 + index) });
  expect(firstArrival(Array.from({ length: 200_000 }, (_, index) => archivedAt(199_999 - index)))).toBe(began - 60_000);
  // What claims to come later has not come yet.
  expect(firstArrival([archivedAt(3_600_000)])).toBeLessThan(began + 60_000);
});

test('the newest segment, when it is short, is opened to see whether it still is, since NFS remembers its size', async () => {
  for (const number of [2, 3]) archive(number);
  // It can be looked at, and not be opened.
  const socket = createServer().listen(join(directory, '000000010000000000000004'));
  await once(socket, 'listening');
  await expect(check(200)).rejects.toMatchObject({ type: 'UNREADABLE', files: ['000000010000000000000004'] });
  socket.close();
});

test('an archive that did not reach the end of the backup at the instant is no damage: the segment is named, and when it arrived', async () => {
  archive(2, { at: 300 });
  const failure: unknown = await check(200).catch((error: unknown) => error);
  expect(failure).toMatchObject({ type: 'TIME_OUT_OF_RANGE', files: ['000000010000000000000002'], message: expect.stringMatching(/: 000000010000000000000002 arrived at \d{4}-.*Z/) as string });
  expect(classify(failure)).toMatchObject({ type: 'NOT_FOUND' });
  expect((await check(400)).segments).toHaveLength(1);
});

test('a segment that is nowhere is damage, whatever else came late', async () => {
  archive(3, { at: 300 });
  await expect(check(200)).rejects.toMatchObject({ type: 'WAL_MISSING', files: ['000000010000000000000002'] });
});

test('a directory with nothing of WAL in it is taken for one that is not the archive; one from which only the segments are gone is damage', async () => {
  writeFileSync(join(directory, 'lost+found'), '');
  const failure: unknown = await check(200).catch((error: unknown) => error);
  expect(failure).toMatchObject({ type: 'ARCHIVE_EMPTY', message: expect.stringMatching(/nothing of a WAL archive in .*mounted/) as string });
  expect(classify(failure)).toMatchObject({ type: 'PREFLIGHT', nonRetryable: true });
  writeFileSync(join(directory, '000000010000000000000001.00000028.backup'), '');
  await expect(check(200)).rejects.toMatchObject({ type: 'WAL_MISSING' });
});
