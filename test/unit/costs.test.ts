import { describe, expect, it } from 'vitest';
import { planCosts } from '../../activities/dr-test/plan-costs.ts';
import { costsOf } from '../../activities/evidence/costs.ts';
import { renderMarkdown } from '../../activities/evidence/report-markdown.ts';
import { renderReport } from '../../activities/evidence/report.ts';
import { priceOf } from '../../contracts/costs.ts';
import type { DrillPlan } from '../../contracts/dr-test.ts';
import { evidenceSchema } from '../../contracts/evidence.ts';
import { renderText } from '../../scripts/cli/evidence-text.ts';
import { bindingOf } from '../../workflows/dr-test/binding.ts';
import { sampleEvidence } from './report-fixture.ts';

const prices = { currency: 'EUR', instanceHour: 0.36, gibMonth: 0.0876 };
const predicted = { seconds: 1_800, from: 'the speed of 3 earlier drills' };
const bytes = 100 * 2 ** 30;

describe('what a copy costs', () => {
  it('is its time at the price of the instance and of its storage, ten minutes at least, and nothing where there was none', () => {
    expect(priceOf(prices, { seconds: 3_600, gib: 100 })).toBe(0.372);
    expect(priceOf(prices, { seconds: 1, gib: 100 })).toBe(priceOf(prices, { seconds: 600, gib: 100 }));
    expect(priceOf(prices, { seconds: 0, gib: 100 })).toBe(0);
  });

  it('is in the plan as long as it is expected to be there, with what that was reckoned from; and not known without prices', () => {
    expect(planCosts(prices, { bytes, predicted })).toEqual({ prices, gib: 100, estimate: { amount: 0.186, seconds: 1_800, method: '1800 s (the speed of 3 earlier drills) at 0.36 EUR an hour and 100 GiB at 0.0876 EUR a month of 730 hours, ten minutes at least; without requests, traffic and provisioned IOPS' } });
    expect(planCosts(undefined, { bytes, predicted })).toMatchObject({ prices: null, estimate: { amount: null, method: 'not known: no prices are configured' } });
  });

  it('is nothing that people decide on: another estimate voids no approval', () => {
    const plan = (seconds: number) => ({ database: 'shop', drawn: `of ${seconds}`, costs: planCosts(prices, { bytes, predicted: { ...predicted, seconds } }) }) as unknown as DrillPlan;
    expect(bindingOf(plan(1))).toEqual(bindingOf(plan(90_000)));
  });
});

describe('what a run has cost', () => {
  const run = (changes: Parameters<typeof sampleEvidence>[0] = {}) => sampleEvidence({ plan: { costs: planCosts(prices, { bytes, predicted }) }, ...changes });
  const withCosts = (evidence = run()) => ({ ...evidence, costs: costsOf(evidence) });

  it('is reckoned from the begin of its creation until it was proven to be gone', () => {
    expect(costsOf(run())).toMatchObject({ amount: priceOf(prices, { seconds: 600, gib: 100 }), currency: 'EUR', seconds: 298, gib: 100, method: expect.stringMatching(/^298 s at most, .* proven to be gone; at 0.36 EUR an hour/) as string });
  });

  it('until the end of the run where that is not proven, which is said', () => {
    const { teardown } = run();
    expect(costsOf(run({ teardown: { ...teardown, outcome: 'failed', provenAbsent: false, proofs: [{ at: teardown.proofs[0]!.at, looked: ['it'], found: ['it'] }] } }))).toMatchObject({ seconds: 300, method: expect.stringContaining('300 s at least') as string });
  });

  it('is nothing where nothing was made, not known where no prices are configured, and not spoken of where nothing is billed', () => {
    expect(costsOf(run({ steps: [] }))).toMatchObject({ amount: 0, seconds: 0, method: expect.stringContaining('nothing was made') as string });
    expect(costsOf(run({ plan: { costs: planCosts(undefined, { bytes, predicted }) } }))).toMatchObject({ amount: null, currency: null, seconds: 298, method: expect.stringMatching(/^not known: no prices are configured; 298 s/) as string });
    for (const plan of [null, 7, {}, { costs: 'much' }, { costs: { prices: { currency: '<b>' }, gib: -1 } }]) expect(costsOf(run({ plan }))).toBeNull();
  });

  it('stands in each report, and evidence of older code has none', () => {
    const shown = withCosts();
    for (const text of [renderReport(shown), renderMarkdown(shown, []), renderText(shown)]) {
      expect(text).toContain('Costs');
      expect(text).toMatch(/0\.06\d\d EUR/);
    }
    expect(renderText(withCosts(run({ plan: { costs: planCosts(undefined, { bytes, predicted }) } })))).toContain('not known: no prices are configured');
    expect(renderMarkdown(run({ costs: null }), [])).not.toContain('## Costs');
    const { costs: _, ...older } = run();
    expect(evidenceSchema.parse(older).costs).toBeNull();
  });
});
