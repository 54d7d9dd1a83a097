/** Bytes of a page in every build that anybody ships. */
export const pageSize = 8192;
/** Pages in one file of a table (1 GB); the next file's pages go on counting. */
export const pagesPerFile = 131_072;

const checksumAt = 8;
const sums = 32;
const prime = 16_777_619;

/** `checksumBaseOffsets` of PostgreSQL's `storage/checksum_impl.h`. */
const baseOffsets = Uint32Array.of(
  0x5b1f36e9, 0xb8525960, 0x02ab50aa, 0x1de66d2a, 0x79ff467a, 0x9bb9f8a3, 0x217e7cd2, 0x83e13d2c,
  0xf8d4474f, 0xe39eb970, 0x42c6ae16, 0x993216fa, 0x7b093b5d, 0x98daff3c, 0xf718902a, 0x0b1c9cdb,
  0xe58f764b, 0x187636bc, 0x5d7b3bb1, 0xe73de7de, 0x92bec979, 0xcca6c0b2, 0x304a0979, 0x85aa43d4,
  0x783125bb, 0x6ca8eaa2, 0xe407eac6, 0x4b5cfc3e, 0x9fbf8c76, 0x15ca20be, 0xf2ca9fd3, 0x959bd756,
);

/**
 * The checksum that PostgreSQL (≥ 9.3) keeps in a page's header: `pg_checksum_page` of `storage/checksum_impl.h`,
 * 32 interleaved FNV-1a sums, folded, mixed with the page's number in its table. The field itself counts as zero.
 */
export function pageChecksum(page: Buffer, pageNumber: number): number {
  if (page.length !== pageSize) throw new Error(`a page has ${pageSize} bytes, not ${page.length}`);
  const state = Uint32Array.from(baseOffsets);
  const mix = (index: number, value: number) => {
    const mixed = ((state[index] ?? 0) ^ value) >>> 0;
    state[index] = Math.imul(mixed, prime) ^ (mixed >>> 17);
  };
  for (let word = 0; word < pageSize / 4; word += 1) {
    // pd_checksum is the low half of the little-endian word at byte 8.
    const value = page.readUInt32LE(word * 4);
    mix(word % sums, word * 4 === checksumAt ? value & 0xffff0000 : value);
  }
  for (let round = 0; round < 2; round += 1) for (let index = 0; index < sums; index += 1) mix(index, 0);
  const folded = (state.reduce((all, sum) => all ^ sum, 0) ^ pageNumber) >>> 0;
  return (folded % 65_535) + 1;
}

/** What the page's header says. */
export function storedChecksum(page: Buffer): number {
  return page.readUInt16LE(checksumAt);
}

/** Makes the header right for the page as it is now. */
export function sealPage(page: Buffer, pageNumber: number): void {
  page.writeUInt16LE(pageChecksum(page, pageNumber), checksumAt);
}
