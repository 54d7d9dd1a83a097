import type { RecoverySettings } from '../../contracts/recovery-point.ts';

/** Microseconds between 1970 and 2000, where PostgreSQL's timestamps begin. */
const EPOCH_2000_US = 946_684_800_000_000n;

const RM_XLOG = 0;
const RM_XACT = 1;
const RM_TBLSPC = 5;
const RM_STANDBY = 8;
const XACT_HAS_INFO = 0x80;

/** One transaction's end in WAL. `committedAt` is the source's clock, cut to milliseconds. */
export interface WalCommit {
  xid: number;
  lsn: bigint;
  committedAt: Date;
  prepared: boolean;
  /** Whether it had subtransactions that wrote. */
  hasSubtransactions: boolean;
}

/** A record as the walker hands it out. `bytes[start, end)` is valid only during the call. */
export interface RawWalRecord {
  lsn: number;
  resourceManager: number;
  info: number;
  xid: number;
  /** XLOG_PAGE_MAGIC, by which the version of PostgreSQL is known. */
  magic: number;
  bytes: Buffer;
  start: number;
  end: number;
}

/** Whether the rest of the segment behind this record is empty, as after pg_switch_wal: XLOG_SWITCH in src/include/catalog/pg_control.h. */
export function isSwitchRecord(record: Pick<RawWalRecord, 'resourceManager' | 'info'>): boolean {
  return record.resourceManager === RM_XLOG && (record.info & 0xf0) === 0x40;
}

/** The path of a CREATE TABLESPACE, which replay would create again at that very place. */
export function readTablespaceCreation(record: RawWalRecord): { oid: number; location: string } | undefined {
  if (record.resourceManager !== RM_TBLSPC || (record.info & 0xf0) !== 0) return undefined;
  const data = mainData(record);
  const zero = data.indexOf(0, 4);
  return { oid: data.readUInt32LE(0), location: data.toString('utf8', 4, zero < 0 ? data.length : zero) };
}

/** XLOG_PARAMETER_CHANGE, written when a server starts with other settings: what a server that replays on must have at least. */
export function readParameterChange(record: RawWalRecord): RecoverySettings | undefined {
  if (record.resourceManager !== RM_XLOG || (record.info & 0xf0) !== 0x60) return undefined;
  const data = mainData(record);
  // xl_parameter_change is the same from PostgreSQL 12 to 18.
  return {
    max_connections: data.readInt32LE(0), max_worker_processes: data.readInt32LE(4), max_wal_senders: data.readInt32LE(8),
    max_prepared_transactions: data.readInt32LE(12), max_locks_per_transaction: data.readInt32LE(16),
  };
}

/** The next transaction id, as checkpoints and lists of running transactions state it. */
export function readNextXid({ resourceManager, info, ...record }: RawWalRecord): number | undefined {
  const operation = info & 0xf0;
  // xl_running_xacts begins with two counts and a flag; CheckPoint with a position, two timelines, a flag, (since 18) the level of WAL, and then at 24 a 64-bit id.
  if (resourceManager === RM_STANDBY && operation === 0x10) return mainData({ resourceManager, info, ...record }).readUInt32LE(12);
  if (resourceManager === RM_XLOG && (operation === 0x00 || operation === 0x10)) return mainData({ resourceManager, info, ...record }).readUInt32LE(24);
  return undefined;
}

/** Decodes COMMIT and COMMIT PREPARED of a transaction that changed something; anything else gives `undefined`. */
export function readCommit(record: RawWalRecord): WalCommit | undefined {
  if (record.resourceManager !== RM_XACT) return undefined;
  const operation = record.info & 0x70;
  if (operation !== 0x00 && operation !== 0x30) return undefined;
  const data = mainData(record);
  const prepared = operation === 0x30;
  const xid = prepared ? preparedXid(data, record.info) : record.xid;
  if (xid === 0) return undefined;
  const micros = data.readBigInt64LE(0) + EPOCH_2000_US;
  return { xid, lsn: BigInt(record.lsn), committedAt: new Date(Number(micros / 1000n)), prepared, hasSubtransactions: (record.info & XACT_HAS_INFO) !== 0 && (data.readUInt32LE(8) & 0x02) !== 0 };
}

/** Main data is the last part of a record; the headers before it say how long it is. */
function mainData(record: RawWalRecord): Buffer {
  const { bytes, end } = record;
  let at = record.start + 24;
  while (at < end) {
    const id = bytes.readUInt8(at);
    if (id === 255) return bytes.subarray(end - bytes.readUInt8(at + 1), end);
    if (id === 254) return bytes.subarray(end - bytes.readUInt32LE(at + 1), end);
    if (id === 253) at += 3;
    else if (id === 252) at += 5;
    else break;
  }
  return bytes.subarray(end, end);
}

/** In COMMIT PREPARED the transaction's id is behind several optional lists; the header's is the committing session's. */
function preparedXid(data: Buffer, info: number): number {
  if (!(info & XACT_HAS_INFO)) return 0;
  const flags = data.readUInt32LE(8);
  let at = 12;
  const skipList = (itemBytes: number) => {
    at += 4 + data.readInt32LE(at) * itemBytes;
  };
  if (flags & 0x01) at += 8;
  if (flags & 0x02) skipList(4);
  if (flags & 0x04) skipList(12);
  if (flags & 0x100) skipList(droppedStatsItemBytes(data, at, flags));
  if (flags & 0x08) skipList(16);
  return flags & 0x10 ? data.readUInt32LE(at) : 0;
}

/** 16 bytes since PostgreSQL 18, 12 before: take the size with which the rest of the record adds up. */
function droppedStatsItemBytes(data: Buffer, at: number, flags: number): number {
  const count = data.readInt32LE(at);
  for (const itemBytes of [16, 12]) {
    let next = at + 4 + count * itemBytes;
    if (flags & 0x08) {
      if (next + 4 > data.length) continue;
      const messages = data.readInt32LE(next);
      if (messages < 0 || messages > data.length / 16) continue;
      next += 4 + messages * 16;
    }
    next += flags & 0x10 ? 4 : 0;
    if (next > data.length) continue;
    if (flags & 0x80) {
      const zero = data.indexOf(0, next);
      if (zero < next + 1) continue;
      next = zero + 1;
    }
    if (next + (flags & 0x20 ? 16 : 0) === data.length) return itemBytes;
  }
  return 16;
}
