import { NO_PRICES, priceOf, termsOf, type PlannedCosts, type Prices } from '../../contracts/costs.ts';

/** What a drill will cost: for as long as it is expected to take, by the prices that are configured. */
export function planCosts(prices: Prices | undefined, { bytes, predicted }: { bytes: number; predicted: { seconds: number; from: string } }): PlannedCosts {
  const gib = Math.round((bytes / 2 ** 30) * 100) / 100;
  const { seconds, from } = predicted;
  if (!prices) return { prices: null, gib, estimate: { amount: null, seconds, method: NO_PRICES } };
  return { prices, gib, estimate: { amount: priceOf(prices, { seconds, gib }), seconds, method: `${seconds} s (${from}) at ${termsOf(prices, gib)}` } };
}
