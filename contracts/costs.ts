import { z } from 'zod';

/** What a copy costs where it runs, by the contract of whoever pays for it: there is no list that could be asked. */
export const pricesSchema = z.strictObject({
  currency: z.string().regex(/^[A-Z]{3}$/, 'a currency is written as in EUR'),
  /** Of an instance of the copy's class, for an hour. */
  instanceHour: z.number().min(0),
  /** Of a GiB of its storage, for a month. */
  gibMonth: z.number().min(0),
});
/** In units of `currency`; {@link termsOf} says what they leave out. */
export type Prices = z.output<typeof pricesSchema>;

/** What a plan says of costs: by what prices, for how much storage; null where none are configured. */
export interface PlannedCosts {
  prices: Prices | null;
  gib: number;
  /** What it is expected to come to, and how that was reckoned, in words. */
  estimate: { amount: number | null; seconds: number; method: string };
}

/** What a run has cost. Null as a whole where nothing that is billed is made. */
export const costsSchema = z.strictObject({
  /** Null where no prices are configured. */
  amount: z.number().nullable(),
  currency: z.string().nullable(),
  /** For how long the copy was there, as far as is known. */
  seconds: z.number(),
  gib: z.number(),
  /** How this was reckoned, in words; `not known`, and why, where there is no amount. */
  method: z.string(),
});
/** In the evidence of a run on what is billed: `seconds` of existence, `gib` of storage. */
export type Costs = z.output<typeof costsSchema>;

const HOUR = 3_600;
const MONTH = 730 * HOUR;
/** What is billed of whatever was made. */
const LEAST_SECONDS = 600;

/** Stands in place of a method, in plans and evidence, where there is no amount. */
export const NO_PRICES = 'not known: no prices are configured';

/** What a copy costs that is there for so long, to a hundredth of a cent. */
export function priceOf({ instanceHour, gibMonth }: Prices, { seconds, gib }: { seconds: number; gib: number }): number {
  if (seconds <= 0) return 0;
  const billed = Math.max(LEAST_SECONDS, seconds);
  return Math.round((billed * (instanceHour / HOUR + (gib * gibMonth) / MONTH)) * 1e4) / 1e4;
}

/** The terms of {@link priceOf} in words. */
export function termsOf({ currency, instanceHour, gibMonth }: Prices, gib: number): string {
  return `${instanceHour} ${currency} an hour and ${gib} GiB at ${gibMonth} ${currency} a month of 730 hours, ten minutes at least; without requests, traffic and provisioned IOPS`;
}

/** An amount for people. */
export function moneyOf(amount: number, currency: string): string {
  return `${amount.toFixed(amount < 1 ? 4 : 2)} ${currency}`;
}
