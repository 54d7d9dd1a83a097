import type { RawWalRecord } from './wal-record.ts';

/**
 * Files of pg_statistic, pg_statistic_ext_data and their TOAST tables, in every database: like all catalogs they begin with
 * their own OID, which no table of a user gets. After a VACUUM FULL of one of them its file has another number: ANALYZE
 * then counts as any transaction, so that a loss may look greater and never smaller.
 */
const STATISTICS = new Set([2619, 2840, 3429, 3430]);

const RM_XLOG = 0;
const RM_XACT = 1;
const RM_HEAP2 = 9;
const RM_HEAP = 10;
const RM_SMGR = 2;
const RM_STANDBY = 8;
/** Their records go with one of a table that says what it is, or change nothing that anybody can see: clog, multixacts, commit times, and indexes. */
const FOLLOWING = new Set([3, 6, 11, 12, 13, 14, 16, 17, 18]);
const HEAP_INPLACE = 0x70;
const HEAP2_MULTI_INSERT = 0x50;
/** From pruning to the visibility map, and the command ids of catalogs. */
const HEAP2_HARMLESS = new Set([0x10, 0x20, 0x30, 0x40, 0x70]);
/** Object ids were handed out; a page got hints. */
const XLOG_HARMLESS = new Set([0x30, 0xa0]);
const XLOG_FULL_PAGE = 0xb0;
const SMGR_TRUNCATE = 0x20;
/** XLOG_PAGE_MAGIC of PostgreSQL 14, whose flags of compressed pages differ. */
const MAGIC_14 = 0xd10d;

/**
 * Tells apart the transactions that lost nothing: those of ANALYZE and VACUUM, by people or by autovacuum, which wrote
 * statistics, cut off empty pages or took the lock for that, and those that left nothing but their commit, such as one that
 * asked for its id, notified, or wrote to unlogged or temporary tables alone. Only of a transaction that began in the WAL
 * that is watched can that be known.
 */
export class MaintenanceWatch {
  readonly #nextXid: number;
  readonly #changed = new Set<number>();

  /** `nextXid`: no transaction with this id or a later one has a record before those that are watched. */
  constructor(nextXid: number) {
    this.#nextXid = nextXid;
  }

  see(record: RawWalRecord): void {
    const { xid } = record;
    if (xid === 0 || isBefore(xid, this.#nextXid) || this.#changed.has(xid)) return;
    if (isChange(record)) this.#changed.add(xid);
  }

  /** At its commit: whether it lost nothing. Not to be asked of one with subtransactions, whose records have ids of their own, or in two phases. */
  ends(xid: number): boolean {
    return !this.#changed.delete(xid) && !isBefore(xid, this.#nextXid);
  }
}

/** Whether one transaction id is before another, on the circle that they are counted on. */
export function isBefore(xid: number, other: number): boolean {
  return ((xid - other) | 0) < 0;
}

/** Whether a record changes what anybody can see, statistics and sizes of tables aside. */
function isChange(record: RawWalRecord): boolean {
  const { resourceManager, info } = record;
  // A VACUUM that finds no page to cut off leaves nothing but a lock; whoever takes one to change something writes that, too.
  if (resourceManager === RM_XACT || resourceManager === RM_STANDBY || FOLLOWING.has(resourceManager)) return false;
  if (resourceManager === RM_XLOG) return !(XLOG_HARMLESS.has(info & 0xf0) || ((info & 0xf0) === XLOG_FULL_PAGE && isMap(record)));
  if (resourceManager === RM_SMGR) return (info & 0xf0) !== SMGR_TRUNCATE;
  const operation = info & 0x70;
  if (resourceManager === RM_HEAP2) return !HEAP2_HARMLESS.has(operation) && !(operation === HEAP2_MULTI_INSERT && STATISTICS.has(fileOf(record)));
  if (resourceManager !== RM_HEAP) return true;
  // The sizes of a table, which ANALYZE and VACUUM write into its row of pg_class as it lies there. CREATE INDEX does so too, beside much else.
  return operation !== HEAP_INPLACE && !STATISTICS.has(fileOf(record));
}

/** Whether the page is one of a free space map or a visibility map: VACUUM writes these whole when it cuts off a table. */
function isMap({ bytes, start }: RawWalRecord): boolean {
  const fork = bytes.readUInt8(start + 25) & 0x0f;
  return bytes.readUInt8(start + 24) === 0 && (fork === 1 || fork === 2);
}

/** Number of the file that the record's first page is of; 0 where it has none. */
function fileOf({ bytes, start, magic }: RawWalRecord): number {
  let at = start + 24;
  // The top transaction of a subtransaction, and the origin of what was replicated, come first.
  for (let id = bytes.readUInt8(at); id === 252 || id === 253; id = bytes.readUInt8(at)) at += id === 252 ? 5 : 3;
  if (bytes.readUInt8(at) > 32) return 0;
  const flags = bytes.readUInt8(at + 1);
  at += 4;
  if (flags & 0x10) {
    const image = bytes.readUInt8(at + 4);
    const isCompressed = (image & (magic === MAGIC_14 ? 0x02 : 0x1c)) !== 0;
    at += 5 + (isCompressed && image & 0x01 ? 2 : 0);
  }
  return flags & 0x80 ? 0 : bytes.readUInt32LE(at + 8);
}
