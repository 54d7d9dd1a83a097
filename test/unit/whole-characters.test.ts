import { describe, expect, it } from 'vitest';
import { seal, textOf } from '../../activities/evidence/chain/seal.ts';
import { verifyChain } from '../../activities/evidence/chain/verify.ts';
import { identityOf } from '../../activities/kernel/run-history.ts';
import { canonicalJson } from '../../contracts/canonical.ts';
import { planFacts } from '../../contracts/plan-facts.ts';
import { firstOf, wellFormed } from '../../contracts/whole-characters.ts';
import { correctionInWords } from '../../workflows/procedure/corrections.ts';
import { sampleEvidence } from './report-fixture.ts';

const SMILE = '\u{1F600}';
const HALF = SMILE.slice(0, 1);
const OTHER_HALF = SMILE.slice(1);
const HALVES = /\p{Surrogate}/u;

describe('the first characters of a text', () => {
  it.each([['', 3, ''], ['abc', 3, 'abc'], ['abcd', 3, 'abc'], [`ab${SMILE}`, 3, 'ab'], [`ab${SMILE}`, 4, `ab${SMILE}`], [`a${SMILE}b`, 3, `a${SMILE}`], [SMILE, 1, ''], [SMILE, 0, '']] as const)('of %j, %i at most, are %j', (text, most, first) => {
    expect(firstOf(text, most)).toBe(first);
  });

  it('end before a character that stands on the cut, wherever people are quoted', () => {
    const correction = { step: 'one', by: 'anna', reason: 'typo', from: null, to: `${'x'.repeat(998)}${SMILE}${SMILE}` };
    for (const text of [
      identityOf({ identity: `${'x'.repeat(199)}${SMILE}` }), planFacts({ plan: { note: `${'x'.repeat(152)}${SMILE}${'x'.repeat(9)}` } }).join(),
      correctionInWords({ openGate: { name: 'correction' }, corrections: [correction] } as never) ?? '',
    ]) expect([HALVES.test(text), text.includes('xxx')]).toEqual([false, true]);
  });
});

describe('half a character', () => {
  it('becomes U+FFFD in texts and names, and whatever is whole is the same', () => {
    const whole = { a: [1, null, true, `x${SMILE}`], b: { [SMILE]: 'y' } };
    expect(wellFormed(whole)).toBe(whole);
    expect(wellFormed({ a: [`x${HALF}`, whole], [OTHER_HALF]: { [`${HALF}${HALF}`]: SMILE } })).toEqual({ a: ['x\uFFFD', whole], '\uFFFD': { '\uFFFD\uFFFD': SMILE } });
    expect(wellFormed({ [HALF]: 1, [OTHER_HALF]: 2, '\uFFFD': 3 })).toEqual({ '\uFFFD': 1, '\uFFFD2': 2, '\uFFFD3': 3 });
  });

  const gate = sampleEvidence().gates[0]!;
  const halved = sampleEvidence({
    reason: `half ${HALF}`, plan: { [HALF]: `${OTHER_HALF}${HALF}` },
    gates: [{ ...gate, decisions: gate.decisions.map((decision) => ({ ...decision, comment: `half ${HALF} of a smile`, reason: `${OTHER_HALF}` })) }],
  });

  it('that somebody sent is written as U+FFFD, and verifies', () => {
    const text = textOf(seal(halved, '0123456789abcdef0123456789abcdef'));
    expect(text).not.toMatch(/\\ud[89a-f]/i);
    expect(text).toContain('half \uFFFD of a smile');
    expect(JSON.parse(text)).toMatchObject({ reason: 'half \uFFFD', gates: [{ decisions: [{ comment: 'half \uFFFD of a smile' }, {}, {}] }] });
    expect(verifyChain(new TextEncoder().encode(text)).flaws).toEqual([]);
  });

  it('in a file makes it no canonical JSON, by the part in which it stands', () => {
    const sealed = seal(sampleEvidence(), '0123456789abcdef0123456789abcdef');
    const flaws = (evidence: object) => verifyChain(new TextEncoder().encode(canonicalJson(evidence))).flaws;
    expect(flaws(sealed)).toEqual([]);
    expect(flaws({ ...sealed, checks: [sealed.checks[0], { ...sealed.checks[1], detail: HALF }] })[0]).toMatchObject({ what: 'notCanonical', part: 'check 2' });
    expect(flaws({ ...sealed, plan: { [HALF]: 1 } })[0]).toMatchObject({ what: 'notCanonical', part: 'the plan' });
  });
});

it('takes no longer for many names that become one than for others', () => {
  const halves = (index: number) => String.fromCharCode(0xD800 + (index & 1023), 0xD800 + (index >> 10));
  const named = (name: (index: number) => string, length: number) => Object.fromEntries(Array.from({ length }, (_, index) => [name(index), index]));
  const takes = (given: Record<string, number>) => {
    const began = performance.now();
    const made = wellFormed(given);
    const milliseconds = performance.now() - began;
    expect(Object.values(made)).toEqual(Object.values(given));
    return milliseconds;
  };
  // Looking through all names for each would take a hundred times as long for ten times as many.
  const few = takes(named(halves, 10_000));
  expect(takes(named(halves, 100_000))).toBeLessThan(Math.max(few, 20) * 40);
});
