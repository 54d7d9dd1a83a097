import { describe, expect, it } from 'vitest';
import { align } from '../../activities/evidence/chain/align.ts';
import { fullPatience } from '../../activities/evidence/chain/pairing.ts';
import { seal, textOf } from '../../activities/evidence/chain/seal.ts';
import { verifyChain } from '../../activities/evidence/chain/verify.ts';
import type { Evidence } from '../../contracts/evidence.ts';
import { sampleEvidence } from './report-fixture.ts';

const checksOf = (count: number) => Array.from({ length: count }, (_, index): Evidence['checks'][number] => ({ name: `check ${index}`, outcome: 'passed', detail: `${index} rows are equal` }));

/** What is found in evidence with so many checks, once they were changed, and how long that took. */
function found(count: number, change: (checks: Evidence['checks']) => Evidence['checks']): { flaws: string[]; seconds: number } {
  const sealed = seal(sampleEvidence({ checks: checksOf(count) }), '0123456789abcdef0123456789abcdef');
  const bytes = new TextEncoder().encode(textOf({ ...sealed, checks: change(sealed.checks) }));
  const began = performance.now();
  const { flaws } = verifyChain(bytes);
  return { flaws: flaws.map(({ what, part }) => `${what} ${part}`), seconds: (performance.now() - began) / 1_000 };
}

function swapped<T>(list: readonly T[], one: number, other: number): T[] {
  return list.map((item, index) => list[index === one ? other : index === other ? one : index] ?? item);
}

/** What each takes on a machine with nothing else to do is a tenth of it; one digest for each pair takes forty for the shorter lists. */
const SECONDS = 30;

describe('a small file', () => {
  it('cannot keep who verifies it busy by the names of its entries', () => {
    const sealed = seal(sampleEvidence({}), '0123456789abcdef0123456789abcdef');
    const stranger = { ...sealed.chain.seal.entries[0]!, kind: 'check' as const, of: `${'1'.repeat(100_000)}x` };
    const bytes = new TextEncoder().encode(textOf({ ...sealed, chain: { ...sealed.chain, seal: { ...sealed.chain.seal, entries: [...sealed.chain.seal.entries, stranger, stranger] } } }));
    const began = performance.now();
    expect(verifyChain(bytes).flaws).toMatchObject([{ what: 'altered', detail: expect.stringContaining('the chain cannot be read') as string }]);
    expect(performance.now() - began).toBeLessThan(5_000);
  });

  it('that is large and strange is located in a few looks', () => {
    const text = `{"strange":[${Array.from({ length: 2_000_000 }, () => '0').join(',')}]} `;
    const began = performance.now();
    expect(verifyChain(new TextEncoder().encode(text)).flaws[0]).toMatchObject({ what: 'notCanonical' });
    expect(performance.now() - began).toBeLessThan(15_000);
  });
});

describe('a long list', () => {
  it('of which two elements were swapped is verified in a second, and not in one for each pair of them', () => {
    const { flaws, seconds } = found(1_000, (checks) => swapped(checks, 0, 999));
    expect(flaws).toEqual(['moved check 1000 (check 0)', 'moved check 1 (check 999)']);
    expect(seconds).toBeLessThan(SECONDS);
  });

  it('of which a few were dropped, added and altered far from each other says which', () => {
    const { flaws, seconds } = found(1_000, (checks) => checks.flatMap((check, index) => {
      if (index === 1 || index === 700) return [];
      return index === 500 ? [{ ...check, detail: 'other' }] : index === 998 ? [check, { ...check, name: 'more' }] : [check];
    }));
    expect(flaws).toEqual(['altered check 500 (check 500)', 'dropped check 2', 'dropped check 701', 'added check 998 (more)']);
    expect(seconds).toBeLessThan(SECONDS);
  });

  it('that differs everywhere is compared in time that grows with its size, and it is said that not all was looked for', () => {
    const { flaws, seconds } = found(5_000, (checks) => checks.map((check) => ({ ...check, detail: 'forged' })));
    expect(flaws).toHaveLength(5_001);
    expect(flaws.slice(0, 1)).toEqual(['altered check 1 (check 0)']);
    expect(flaws.at(-1)).toBe('altered the order');
    expect(seconds).toBeLessThan(SECONDS);
  });

  it('of which everything is gone, or all is another\'s, is named', () => {
    expect(found(5_000, () => []).flaws).toHaveLength(5_000);
    const { flaws } = found(5_000, (checks) => [...checks, ...checks]);
    expect(flaws.filter((flaw) => flaw.startsWith('added check'))).toHaveLength(5_000);
  });
});

describe('comparing', () => {
  /** Each text once is a made-up digest: what it costs is how often two are compared. */
  function compared(entries: readonly string[], elements: readonly string[]) {
    const patience = fullPatience();
    let times = 0;
    const isSame = (entry: number, element: number) => {
      times += 1;
      return entries[entry] === elements[element];
    };
    return { ...align({ entries: entries.length, elements: elements.length, isSame, textOf: (element) => elements[element] ?? '', patience }), get times() { return times; }, isSpent: patience.isSpent };
  }
  const texts = Array.from({ length: 1_000 }, (_, index) => `text ${index}`);

  it('takes a few looks for each element, and one at all of them for what is not near', () => {
    expect(compared(texts, swapped(texts, 0, 999))).toMatchObject({ moved: [{ entry: 0, element: 999 }, { entry: 999, element: 0 }], altered: [], dropped: [], added: [], isSpent: false });
    expect(compared(texts, swapped(texts, 0, 999)).times).toBeLessThan(5_000);
    expect(compared(texts, texts.filter((_, index) => index !== 0 && index !== 999)).times).toBeLessThan(8_000);
  });

  it('goes no further than its patience, and tells', () => {
    const { times, isSpent, altered } = compared(texts.map((text) => `${text}!`), texts);
    expect(isSpent).toBe(true);
    expect(altered).toHaveLength(1_000);
    expect(times).toBeLessThan(300_000);
  });

  it('spends no more on one that is gone than leaves something to those after it', () => {
    const heavy = texts.map((text) => `${text}${','.repeat(1_000)}`);
    expect(compared(heavy, heavy.filter((_, index) => index !== 1 && index !== 900))).toMatchObject({ dropped: [1, 900], altered: [], added: [], moved: [], isSpent: true });
  });

  it('goes on from where it found the last one', () => {
    const added = Array.from({ length: 30 }, (_, index) => `more ${index}`);
    const { times, ...result } = compared([...texts, 'end'], [...added, ...texts, 'other end']);
    expect(result).toMatchObject({ altered: [{ entry: 1_000, element: 1_030 }], dropped: [], moved: [] });
    expect(times).toBeLessThan(5_000);
  });

  it('tries an element that is heavy for few entries only, also where it is always the next', () => {
    const heavy = 'x'.repeat(10_000_000);
    let times = 0;
    align({ entries: 10_000, elements: 3, patience: fullPatience(), textOf: (element) => ['', 'light', heavy][element] ?? '', isSame: (_, element) => { times += Number(element === 2); return element === 1; } });
    expect(times).toBeLessThan(20);
  });

  it('tries an element that is heavy for few entries only', () => {
    const heavy = 'x'.repeat(10_000_000);
    let times = 0;
    align({ entries: 10_000, elements: 2, patience: fullPatience(), textOf: () => heavy, isSame: () => { times += 1; return false; } });
    expect(times).toBeLessThan(20);
  });

  it('leaves as many in place as can be, of equal ones, too', () => {
    expect(compared(['x', 'a', 'b', 'a', 'y'], ['p', 'b', 'a', 'q'])).toMatchObject({ altered: [{ entry: 0, element: 0 }, { entry: 4, element: 3 }], dropped: [1], added: [], moved: [] });
  });

  it('finds what kept its order also where a table of all pairs would be too large', () => {
    const many = Array.from({ length: 5_000 }, (_, index) => `text ${index}`);
    const { moved, altered, dropped, added } = compared(many, [many[1] as string, many[0] as string, ...many.slice(2, 4_990), ...many.slice(4_991), 'more', 'end']);
    expect([moved.length, altered, dropped, added]).toEqual([1, [], [4_990], [4_999, 5_000]]);
  });
});
