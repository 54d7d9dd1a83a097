import { describe, expect, test } from 'vitest';
import { rowHash, type Column } from '../../activities/manifest/fingerprint.ts';
import { cutRange, planRanges } from '../../activities/manifest/buckets.ts';
import { describeSequences, isBeyond } from '../../activities/manifest/sequences.ts';
import { WorkQueue } from '../../activities/manifest/work-queue.ts';

const column = (builtin: string, position: number, more: Partial<Column> = {}): Column => ({
  name: `c${position}`, position, builtin, baseType: `pg_catalog.${builtin}`, isDomain: false, typeKind: 'b',
  sendFunction: `pg_catalog.${builtin}send`, sendsAny: false, sendsUserOids: false, ...more,
});
const quote = (name: string): string => `"${name}"`;

describe('the fingerprint of a row', () => {
  test('ends with a step that is not linear, and gives every column a seed of its own', () => {
    const { sql } = rowHash([column('int4', 1), column('int4', 2)], quote, 180000);
    expect(sql).toMatch(/^hashint4extended\(0, coalesce\(hashint4extended\("c1", 1\), -?\d+::int8\) # coalesce\(hashint4extended\("c2", 2\), -?\d+::int8\)\)$/);
  });

  test('sends floats and numerics, falls back to text without a send function, and says when it holds object ids', () => {
    expect(rowHash([column('float8', 1)], quote, 180000).sql).toContain('pg_catalog.float8send("c1")');
    expect(rowHash([column('pg_node_tree', 1, { sendFunction: null })], quote, 180000).sql).toContain(`format('%s', "c1") COLLATE "C"`);
    expect(rowHash([column('', 1, { sendsUserOids: true })], quote, 180000).portable).toBe(false);
  });

  test('uses nothing that servers before 18 lack when asked for one', () => {
    expect(rowHash([column('numeric', 1), column('bytea', 2)], quote, 150000).sql).not.toContain('hashbyteaextended');
  });
});

describe('ranges of pages', () => {
  test('cover a table without gaps, the last one open', () => {
    const ranges = planRanges({ isHeap: true }, { pages: 1000, bytes: 8_192_000 }, 1_000_000);
    expect(ranges[0]?.fromPage).toBe(0);
    expect(ranges.at(-1)?.toPage).toBeNull();
    ranges.slice(1).forEach((range, index) => expect(range.fromPage).toBe(ranges[index]?.toPage));
  });

  test('are cut within their ends, and as far as a page', () => {
    const size = { pages: 1000, bytes: 8_192_000 };
    expect(cutRange({ isHeap: true }, { fromPage: 100, toPage: 340 }, size, 819_200)).toEqual([{ fromPage: 100, toPage: 200 }, { fromPage: 200, toPage: 300 }, { fromPage: 300, toPage: 340 }]);
    expect(cutRange({ isHeap: true }, { fromPage: 900, toPage: null }, size, 409_600)).toEqual([{ fromPage: 900, toPage: 950 }, { fromPage: 950, toPage: null }]);
    expect(cutRange({ isHeap: true }, { fromPage: 0, toPage: 2 }, { pages: 10, bytes: 10_000_000 }, 1000)).toEqual([{ fromPage: 0, toPage: 1 }, { fromPage: 1, toPage: 2 }]);
    expect(cutRange({ isHeap: true }, { fromPage: 0, toPage: null }, { pages: 0, bytes: 0 }, 1000)).toEqual([{ fromPage: 0, toPage: null }]);
  });

  test('are not cut for storage that has none', () => {
    expect(planRanges({ isHeap: false }, { pages: 1000, bytes: 8_192_000 }, 1_000_000)).toEqual([{ fromPage: 0, toPage: null }]);
  });
});

describe('sequences', () => {
  const sequence = { oid: 1, schema: 's', name: 'q', increment: '1', cycles: false, filenode: '10', persistence: 'p' };

  test('give no lower bound when they moved back or got a new file', () => {
    const bound = (before: [bigint, string], after: [bigint, string]): string | null | undefined => describeSequences(
      [sequence], new Map([[1, { next: before[0], filenode: before[1] }]]), new Map([[1, { next: after[0], filenode: after[1] }]]), new Map())[0]?.nextAtLeast;
    expect(bound([5n, '10'], [9n, '10'])).toBe('5');
    expect(bound([5n, '10'], [2n, '10'])).toBeNull();
    expect(bound([5n, '9'], [2n, '10'])).toBeNull();
  });

  test.each([
    ['beyond its column before and after', [12n, '10'], [15n, '10'], false], ['beyond it only afterwards, as after a load and setval', [1n, '10'], [15n, '10'], null],
    ['behind it before and after', [1n, '10'], [2n, '10'], true], ['beyond it afterwards, made before nobody knows when', [12n, '9'], [15n, '10'], null],
    ['restarted after the position', [12n, '10'], [15n, '11'], null], ['set back to beyond it', [20n, '10'], [15n, '10'], null],
  ] as const)('are known to be behind their column or not: %s', (_what, before, after, expected) => {
    const at = ([next, filenode]: readonly [bigint, string]) => new Map([[1, { next, filenode }]]);
    expect(describeSequences([sequence], at(before), at(after), new Map([[1, { owner: 's.t.id', furthest: 10n }]]))[0]?.sourceBehind).toBe(expected);
  });

  test('must be beyond their column in their own direction', () => {
    expect([isBeyond(5n, 5n, true), isBeyond(6n, 5n, true), isBeyond(-6n, -5n, false)]).toEqual([false, true, true]);
  });
});

describe('the work queue', () => {
  test('runs pieces that other pieces add, and ends with the first error', async () => {
    const queue = new WorkQueue<number>();
    const done: string[] = [];
    queue.add([async () => { await new Promise((resolve) => setTimeout(resolve, 5)); queue.add([async () => { done.push('added'); }]); }]);
    await queue.run([1, 2]);
    expect(done).toEqual(['added']);
    queue.add([async () => { throw new Error('broken'); }, async () => { done.push('other'); }]);
    await expect(queue.run([1])).rejects.toThrow('broken');
  });

  test('takes more pieces than a call takes arguments, and those of a series one at a time, before all others', async () => {
    const queue = new WorkQueue<number>();
    const many = 200_000;
    let [made, done] = [0, 0];
    let mostAhead = 0;
    function* series() {
      for (; made < many;) {
        made += 1;
        yield async () => { done += 1; mostAhead = Math.max(mostAhead, made - done); };
      }
    }
    const order: string[] = [];
    queue.add([async () => { queue.addSeriesFirst(series()); queue.addSeriesFirst([async () => { order.push('a'); }, async () => { order.push('b'); }]); }]);
    queue.add(Array.from({ length: many }, () => async () => { if (order.length < 4) order.push(`rest after ${done}`); }));
    await queue.run([1]);
    expect(done).toBe(many);
    expect(mostAhead).toBe(1);
    expect(order).toEqual(['a', 'b', `rest after ${many}`, `rest after ${many}`]);
  });
});
