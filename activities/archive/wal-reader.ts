import { setImmediate as yieldToOthers } from 'node:timers/promises';
import { formatLsn } from '../postgres/lsn.ts';
import { CRC32C_START, finishCrc32c, updateCrc32c } from './crc32c.ts';
import { isSwitchRecord, type RawWalRecord } from './wal-record.ts';

/** XLOG_PAGE_MAGIC of PostgreSQL 14, 15, 16, 17 and 18 (src/include/access/xlog_internal.h). */
const PAGE_MAGICS = new Set([0xd10d, 0xd110, 0xd113, 0xd116, 0xd118]);
const FIRST_IS_CONTINUED = 0x0001;
const LONG_HEADER = 0x0002;
const FIRST_IS_OVERWRITTEN = 0x0008;
const RECORD_HEADER = 24;
const MAX_RECORD = 1020 * 1024 * 1024;
/** Others, heartbeats among them, get their turn each time so much was read: a segment may be a gigabyte. */
const TURN_BYTES = 4 * 1024 * 1024;

/** Gives the bytes of a segment from its beginning; fewer than a whole segment where no more is known. */
export type ReadSegment = (segmentNumber: bigint) => Promise<Buffer | undefined>;

/** Where valid WAL ends and why. `endLsn` is what `pg_last_wal_replay_lsn()` says once all of it was replayed. */
export interface WalEnd {
  endLsn: bigint;
  records: number;
  /** `foreign`: a segment of another cluster. */
  reason: 'limit' | 'noMoreWal' | 'invalid' | 'foreign';
  /** For all but `limit`: the segment that could not be read on, and what was wrong with it. */
  atSegment: bigint;
  detail: string;
}

/** What to walk, and what would make it somebody else's WAL. `onRecord` gets one record after the other, and must keep none of its bytes. */
export interface WalkWalArgs {
  readSegment: ReadSegment;
  segmentSize: number;
  /** Any position; reading begins with the first record at or after it. */
  startLsn: bigint;
  /** Records that start here or later are not read. */
  limitLsn?: bigint | undefined;
  /** Pages of a later timeline than this are not ours. */
  timeline: number;
  /** Of the cluster whose WAL it has to be, as a decimal number; each segment names its own. */
  systemIdentifier?: string | undefined;
  verifyChecksums?: boolean;
  onRecord: (record: RawWalRecord) => void;
  signal?: AbortSignal | undefined;
}

/**
 * Walks the records of WAL as recovery would, and stops where recovery would stop: at the first page, header, link or
 * checksum that does not fit. Knows the page and record headers of PostgreSQL 14 to 18.
 */
export async function walkWal(args: WalkWalArgs): Promise<WalEnd> {
  return new WalWalker(args).run();
}

/** Ends the walk; `onRecord` may throw it (`limit`) when it has seen enough. */
export class WalStop extends Error {
  readonly reason: WalEnd['reason'];
  constructor(reason: WalEnd['reason'], detail: string) {
    super(detail);
    this.reason = reason;
  }
}

// Positions are plain numbers in here: exact up to 9 PB of WAL, and many times faster than bigint.
class WalWalker {
  readonly #args: WalkWalArgs;
  readonly #limit: number;
  #segment: Buffer = Buffer.alloc(0);
  #segmentStart = -1;
  #pageSize = 8192;
  #records = 0;
  #overwritten = false;

  constructor(args: WalkWalArgs) {
    this.#args = args;
    this.#limit = args.limitLsn === undefined ? Number.POSITIVE_INFINITY : Number(args.limitLsn);
  }

  async run(): Promise<WalEnd> {
    const { segmentSize } = this.#args;
    const start = Number(this.#args.startLsn);
    let end = start;
    let at = start;
    const result = (reason: WalEnd['reason'], detail: string): WalEnd => ({
      endLsn: BigInt(end), records: this.#records, reason, detail,
      atSegment: BigInt(Math.floor(Math.max(this.#segmentStart, 0) / segmentSize)),
    });
    try {
      await this.#load(at - (at % segmentSize));
      at = await this.#findFirstRecord(start - (start % this.#pageSize));
      let previous = -1;
      for (;;) {
        if (at % this.#pageSize === 0) at += await this.#enterPage(at, 0);
        if (at >= this.#limit) return result('limit', '');
        const next = await this.#readRecord(at, previous, at >= start);
        // An overwritten record is not part of the chain: the next one links to the one before it.
        if (this.#overwritten) this.#overwritten = false;
        else previous = at;
        at = next;
        if (at > start) end = at;
      }
    } catch (error) {
      if (error instanceof WalStop) return result(error.reason, error.message);
      throw error;
    }
  }

  /** Skips what is left of a record that began on an earlier page. */
  async #findFirstRecord(page: number): Promise<number> {
    let at = page;
    for (;;) {
      const header = await this.#pageHeader(at);
      if (!(header.flags & FIRST_IS_CONTINUED)) return at + header.size;
      const room = this.#pageSize - header.size;
      if (align8(header.remaining) < room) return at + header.size + align8(header.remaining);
      at += this.#pageSize;
      if (align8(header.remaining) === room) return at;
    }
  }

  async #load(segmentStart: number): Promise<void> {
    const { readSegment, segmentSize, signal, systemIdentifier } = this.#args;
    signal?.throwIfAborted();
    this.#segmentStart = segmentStart;
    const bytes = await readSegment(BigInt(segmentStart / segmentSize));
    if (!bytes || bytes.length < 40) throw new WalStop('noMoreWal', 'the segment is not there');
    const belongsTo = bytes.readBigInt64LE(24).toString();
    if (systemIdentifier !== undefined && PAGE_MAGICS.has(bytes.readUInt16LE(0)) && belongsTo !== systemIdentifier) throw new WalStop('foreign', `the segment is of another cluster (system identifier ${belongsTo})`);
    this.#segment = bytes;
    this.#pageSize = bytes.readUInt32LE(36);
    if (this.#pageSize < 1024 || this.#pageSize > 65536) throw new WalStop('invalid', 'the segment has no valid first page');
    await yieldToOthers();
  }

  async #pageHeader(page: number): Promise<{ flags: number; remaining: number; size: number }> {
    const { segmentSize, timeline } = this.#args;
    const segmentStart = page - (page % segmentSize);
    if (segmentStart !== this.#segmentStart) await this.#load(segmentStart);
    const bytes = this.#segment;
    const at = page - segmentStart;
    if (at % TURN_BYTES === 0 && at > 0) {
      await yieldToOthers();
      this.#args.signal?.throwIfAborted();
    }
    if (at + 24 > bytes.length) throw new WalStop('noMoreWal', 'nothing is known beyond here');
    if (!PAGE_MAGICS.has(bytes.readUInt16LE(at))) throw new WalStop('invalid', `no page header at ${lsnText(page)}`);
    if (bytes.readUInt32LE(at + 8) + bytes.readUInt32LE(at + 12) * 0x100000000 !== page) {
      throw new WalStop('invalid', `the page at ${lsnText(page)} is an old one`);
    }
    if (bytes.readUInt32LE(at + 4) > timeline) throw new WalStop('invalid', `the page at ${lsnText(page)} is of another timeline`);
    const flags = bytes.readUInt16LE(at + 2);
    const isLong = (flags & LONG_HEADER) !== 0;
    if (isLong !== (at === 0) || (isLong && bytes.readUInt32LE(at + 32) !== segmentSize)) {
      throw new WalStop('invalid', `the page header at ${lsnText(page)} does not fit`);
    }
    return { flags, remaining: bytes.readUInt32LE(at + 16), size: isLong ? 40 : 24 };
  }

  /** Checks a page at which a record must begin (`expected` 0) or go on with that many bytes; gives the header's size. */
  async #enterPage(page: number, expected: number): Promise<number> {
    const header = await this.#pageHeader(page);
    const continued = (header.flags & FIRST_IS_CONTINUED) !== 0;
    if (expected === 0 ? continued : !continued || header.remaining !== expected) {
      // A server that crashed in the middle of a record marks the page on which it starts again.
      if (expected !== 0 && header.flags & FIRST_IS_OVERWRITTEN) return -header.size;
      throw new WalStop('invalid', `the record does not go on at ${lsnText(page)}`);
    }
    return header.size;
  }

  /** Reads one record, hands it out, and gives the position behind it. */
  async #readRecord(at: number, previous: number, wanted: boolean): Promise<number> {
    const pageSize = this.#pageSize;
    const offset = at - this.#segmentStart;
    if (offset + 4 > this.#segment.length) throw new WalStop('noMoreWal', 'nothing is known beyond here');
    const length = this.#segment.readUInt32LE(offset);
    if (length < RECORD_HEADER || length > MAX_RECORD) throw new WalStop('invalid', `no record at ${lsnText(at)}`);
    const room = pageSize - (at % pageSize);
    if (length <= room) {
      if (offset + length > this.#segment.length) throw new WalStop('noMoreWal', 'nothing is known beyond here');
      return this.#handOut(at, previous, this.#segment, offset, length, at + align8(length), wanted);
    }
    const parts = [this.#segment.subarray(offset, offset + room)];
    let page = at - (at % pageSize);
    for (let left = length - room; left > 0; ) {
      page += pageSize;
      const header = await this.#enterPage(page, left);
      if (header < 0) {
        this.#overwritten = true;
        return page - header;
      }
      const from = page - this.#segmentStart + header;
      const take = Math.min(left, pageSize - header);
      if (from + take > this.#segment.length) throw new WalStop('noMoreWal', 'nothing is known beyond here');
      parts.push(this.#segment.subarray(from, from + take));
      left -= take;
      if (left === 0) return this.#handOut(at, previous, Buffer.concat(parts), 0, length, page + header + align8(take), wanted);
    }
    throw new WalStop('invalid', `no record at ${lsnText(at)}`);
  }

  #handOut(at: number, previous: number, bytes: Buffer, start: number, length: number, next: number, wanted: boolean): number {
    const link = bytes.readUInt32LE(start + 8) + bytes.readUInt32LE(start + 12) * 0x100000000;
    if (previous >= 0 ? link !== previous : link >= at) throw new WalStop('invalid', `the record at ${lsnText(at)} does not follow the one before`);
    const end = start + length;
    if (this.#args.verifyChecksums !== false) {
      const crc = updateCrc32c(updateCrc32c(CRC32C_START, bytes, start + RECORD_HEADER, end), bytes, start, start + 20);
      if (finishCrc32c(crc) !== bytes.readUInt32LE(start + 20)) throw new WalStop('invalid', `the checksum of the record at ${lsnText(at)} is wrong`);
    }
    const record = { lsn: at, resourceManager: bytes[start + 17] as number, info: bytes[start + 16] as number, xid: bytes.readUInt32LE(start + 4), magic: this.#segment.readUInt16LE(0), bytes, start, end };
    if (wanted) {
      this.#records += 1;
      this.#args.onRecord(record);
    }
    const { segmentSize } = this.#args;
    // Nothing follows a switch in its segment.
    return isSwitchRecord(record) && next % segmentSize !== 0 ? next - (next % segmentSize) + segmentSize : next;
  }
}

function align8(length: number): number {
  return length + ((8 - (length % 8)) % 8);
}

function lsnText(at: number): string {
  return formatLsn(BigInt(at));
}
