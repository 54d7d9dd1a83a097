import type { Bucket } from '../../contracts/manifest.ts';
import type { Table } from './tables.ts';

/** Pages from `fromPage` up to, but without, `toPage`; null stands for the end, wherever it is by then. */
export interface PageRange { fromPage: number; toPage: number | null }

/** How large a table is; bytes include what is stored out of line, which is read along with its pages. */
export interface TableSize { pages: number; bytes: number }

/** Cuts a table into ranges of about `bucketBytes`; the last one is open, so that rows on later pages are not missed. */
export function planRanges(table: Pick<Table, 'isHeap'>, size: TableSize, bucketBytes: number): PageRange[] {
  const whole = { fromPage: 0, toPage: null };
  return size.bytes <= bucketBytes * 1.5 ? [whole] : cutRange(table, whole, size, bucketBytes);
}

/** Cuts a range of a table into ranges of about so many bytes. */
export function cutRange({ isHeap }: Pick<Table, 'isHeap'>, range: PageRange, { pages, bytes }: TableSize, bytesEach: number): PageRange[] {
  const end = range.toPage ?? pages;
  if (!isHeap || end <= range.fromPage) return [range];
  const step = Math.max(1, Math.round(pages * bytesEach / bytes));
  const ranges: PageRange[] = [];
  for (let { fromPage } = range; fromPage < end; fromPage += step) ranges.push({ fromPage, toPage: fromPage + step < end ? fromPage + step : range.toPage });
  return ranges;
}

/** What neighbouring buckets hold together. Bounds are those of a single one: text cannot be put in the order of its type here. */
export function joinBuckets(buckets: readonly Bucket[]): Bucket {
  const [first] = buckets;
  if (first === undefined) throw new RangeError('there is no bucket to join');
  if (buckets.length === 1) return first;
  return {
    fromPage: first.fromPage, toPage: buckets.at(-1)?.toPage ?? null, keyFrom: null, keyTo: null,
    rows: buckets.reduce((sum, { rows }) => sum + rows, 0),
    fingerprint: String(buckets.reduce((sum, { fingerprint }) => sum + BigInt(fingerprint), 0n)),
  };
}
