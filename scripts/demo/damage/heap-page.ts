/** One row on a heap page: where its line pointer and its first column's bytes are. */
export interface HeapRow {
  linePointerAt: number;
  /** Start of the user's data: past the tuple header and the null bitmap. */
  dataAt: number;
  data: Buffer;
}

const pageHeaderBytes = 24;
const normal = 1;
const dead = 3;

/** The rows that line pointers call normal; see `storage/itemid.h` and `access/htup_details.h`. */
export function heapRows(page: Buffer): HeapRow[] {
  const rows: HeapRow[] = [];
  const lower = page.readUInt16LE(12);
  for (let at = pageHeaderBytes; at + 4 <= lower; at += 4) {
    const pointer = page.readUInt32LE(at);
    if (((pointer >>> 15) & 3) !== normal) continue;
    const tupleAt = pointer & 0x7fff;
    const dataAt = tupleAt + page.readUInt8(tupleAt + 22);
    rows.push({ linePointerAt: at, dataAt, data: page.subarray(dataAt, tupleAt + (pointer >>> 17)) });
  }
  return rows;
}

/** Makes the row vanish as if VACUUM had taken it. */
export function removeRow(page: Buffer, row: HeapRow): void {
  page.writeUInt32LE((dead << 15) >>> 0, row.linePointerAt);
}

/**
 * Shows one more zero after the point of a short numeric (1.0 becomes 1.00): the display scale in its header; see `utils/adt/numeric.c`.
 * Returns false if the value is not stored in the short forms.
 */
export function widenNumeric(data: Buffer, numericAt: number): boolean {
  const length = data[numericAt] ?? 0;
  if ((length & 1) === 0 || numericAt + 3 > data.length) return false;
  const header = data.readUInt16LE(numericAt + 1);
  const scale = (header & 0x1f80) >>> 7;
  if ((header & 0xc000) !== 0x8000 || scale === 0 || scale >= 60) return false;
  data.writeUInt16LE((header & ~0x1f80) | ((scale + 1) << 7), numericAt + 1);
  return true;
}
