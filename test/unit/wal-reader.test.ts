import { expect, test } from 'vitest';
import { walkWal } from '../../activities/archive/wal-reader.ts';

const MB = 2 ** 20;
const PAGE = 8192;

/** A segment of 16 MB that begins with one record of that size in bytes. */
function segmentWith(length: number): Buffer {
  const bytes = Buffer.alloc(16 * MB);
  let left = length;
  for (let at = 0; at < bytes.length; at += PAGE) {
    const header = at === 0 ? 40 : 24;
    bytes.writeUInt16LE(0xd116, at);
    bytes.writeUInt16LE((at === 0 ? 0x0002 : 0) | (at > 0 && left > 0 ? 0x0001 : 0), at + 2);
    bytes.writeUInt32LE(1, at + 4);
    bytes.writeUInt32LE(16 * MB + at, at + 8);
    bytes.writeUInt32LE(at === 0 ? 0 : left, at + 16);
    left = Math.max(0, left - (PAGE - header));
  }
  bytes.writeUInt32LE(16 * MB, 32);
  bytes.writeUInt32LE(PAGE, 36);
  bytes.writeUInt32LE(length, 40);
  return bytes;
}

test('others get their turn while a large segment is read', async () => {
  const segment = segmentWith(14 * MB);
  let turns = 0;
  const turn = () => { turns += 1; next = setImmediate(turn); };
  let next = setImmediate(turn);
  const records: number[] = [];
  const walked = await walkWal({
    readSegment: (number) => Promise.resolve(number === 1n ? segment : undefined), segmentSize: 16 * MB, timeline: 1, startLsn: BigInt(16 * MB), verifyChecksums: false, onRecord: ({ end, start }) => records.push(end - start),
  });
  clearImmediate(next);
  expect(records).toEqual([14 * MB]);
  expect(walked).toMatchObject({ records: 1, reason: 'invalid' });
  // One when it was loaded, and one for every 4 MB.
  expect(turns).toBeGreaterThanOrEqual(4);
});
