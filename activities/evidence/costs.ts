import { z } from 'zod';
import { moneyOf, NO_PRICES, priceOf, pricesSchema, termsOf, type Costs } from '../../contracts/costs.ts';
import type { Evidence } from '../../contracts/evidence.ts';

/** The step that makes what is billed. */
const MAKING = 'copy';

/** What of a plan is looked at: it is an open field of the evidence. */
const planned = z.object({ costs: z.object({ prices: pricesSchema.nullable(), gib: z.number().min(0) }) });

/**
 * What a run has cost, from its own evidence: from the begin of the step that makes the copy until the first look that found nothing
 * of it, or until the end of the run where there is none. Null where its plan says nothing of costs.
 */
export function costsOf({ plan, steps, teardown, finishedAt }: Pick<Evidence, 'plan' | 'steps' | 'teardown' | 'finishedAt'>): Costs | null {
  const { data } = planned.safeParse(plan);
  if (!data) return null;
  const { prices, gib } = data.costs;
  const begun = steps.find(({ name, outcome }) => name === MAKING && outcome !== 'skipped')?.startedAt;
  const absent = teardown.provenAbsent ? teardown.proofs.find(({ found }) => found.length === 0)?.at : undefined;
  const seconds = begun === undefined ? 0 : Math.max(0, (Date.parse(absent ?? finishedAt) - Date.parse(begun)) / 1_000);
  const life = begun === undefined ? 'nothing was made' : absent === undefined ? `${seconds} s at least, from the begin of its creation to the end of the run: that it is gone is not proven, and it may go on costing` : `${seconds} s at most, from the begin of its creation until it was proven to be gone`;
  if (!prices) return { amount: null, currency: null, seconds, gib, method: `${NO_PRICES}; ${life}` };
  return { amount: priceOf(prices, { seconds, gib }), currency: prices.currency, seconds, gib, method: `${life}; at ${termsOf(prices, gib)}` };
}

/** What a run has cost, for people. */
export function costsWords({ amount, currency }: Costs): string {
  return amount === null ? 'not known' : moneyOf(amount, currency ?? '');
}
