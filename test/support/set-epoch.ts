import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

/** Of pg_control: where the last checkpoint's record is, and in the copy of it what the next transaction is, 64 bits each. */
const [CHECKPOINT, NEXT_XID] = [32, 64];
/** Of a record of WAL: its length and its checksum, before what it says. */
const RECORD = { length: 0, crc: 20, header: 24 };

/**
 * Gives a cluster that was shut down so many rounds of 2^32 transactions, as `pg_resetwal -e` does, which the embedded
 * PostgreSQL comes without: the last checkpoint says it, in WAL and in pg_control.
 */
export function setEpoch(dataDirectory: string, epoch: number): void {
  const controlFile = join(dataDirectory, 'global', 'pg_control');
  const control = readFileSync(controlFile);
  const crcAt = Array.from({ length: 64 }, (_, index) => 200 + index * 4).find((at) => crc32c(control.subarray(0, at)) === control.readUInt32LE(at));
  if (crcAt === undefined) throw new Error('pg_control is not as this knows it');
  const before = Buffer.from(control.subarray(NEXT_XID, NEXT_XID + 8));
  const checkpoint = control.readBigUInt64LE(CHECKPOINT);
  control.writeUInt32LE(epoch, NEXT_XID + 4);

  const wal = join(dataDirectory, 'pg_wal');
  const [segment] = readdirSync(wal).filter((name) => /^[0-9A-F]{24}$/.test(name)).toSorted();
  if (segment === undefined) throw new Error('there is no WAL');
  const bytes = readFileSync(join(wal, segment));
  const first = BigInt(`0x${segment.slice(8, 16)}`) * 2n ** 32n + BigInt(`0x${segment.slice(16)}`) * BigInt(bytes.length);
  const start = Number(checkpoint - first);
  const record = bytes.subarray(start, start + bytes.readUInt32LE(start + RECORD.length));
  const at = record.indexOf(before, RECORD.header);
  if (at < 0) throw new Error('the last checkpoint is not as this knows it');
  record.writeUInt32LE(epoch, at + 4);
  record.writeUInt32LE(crc32c(Buffer.concat([record.subarray(RECORD.header), record.subarray(0, RECORD.crc)])), RECORD.crc);
  control.writeUInt32LE(crc32c(control.subarray(0, crcAt)), crcAt);
  writeFileSync(join(wal, segment), bytes);
  writeFileSync(controlFile, control);
}

/** Castagnoli's polynomial, which zlib does not have. */
function crc32c(bytes: Uint8Array): number {
  let crc = 0xffffffff;
  for (const byte of bytes) {
    crc ^= byte;
    for (let bit = 0; bit < 8; bit += 1) crc = (crc >>> 1) ^ (crc & 1 ? 0x82f63b78 : 0);
  }
  return (crc ^ 0xffffffff) >>> 0;
}
