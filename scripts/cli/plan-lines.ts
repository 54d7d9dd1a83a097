import { z } from 'zod';
import { formatBytes, formatSeconds } from '../../activities/evidence/report-format.ts';
import { moneyOf, pricesSchema } from '../../contracts/costs.ts';
import { TASK_QUEUE } from '../../contracts/search-attributes.ts';
import { planFacts, type PlanView } from '../../contracts/plan-facts.ts';
import { plain } from '../../contracts/plain.ts';

/** What is told of a drill's plan. The run may be of a worker of another version. */
const drillPlan = z.object({
  taskQueue: z.string(), depth: z.string(), provider: z.string(), declaredAt: z.string(),
  recoveryPoint: z.object({ id: z.string(), takenAt: z.string(), sizeBytes: z.number() }),
  recoverTo: z.object({ time: z.string() }).nullable(),
  archive: z.object({ bytes: z.number() }),
  manifest: z.object({ databases: z.array(z.object({ name: z.string(), tables: z.number() })) }).nullable(),
  predicted: z.object({ bytes: z.number(), seconds: z.number(), from: z.string() }),
  costs: z.object({ prices: pricesSchema.nullable(), estimate: z.object({ amount: z.number().nullable(), method: z.string() }) }).optional(), drawn: z.string().optional(),
  creates: z.object({ directory: z.string(), leaseMs: z.number() }),
  checks: z.array(z.unknown()), probe: z.unknown(), allowNotProven: z.boolean().optional(),
  notVerified: z.object({ open: z.array(z.string()) }),
});
type ToldPlan = z.output<typeof drillPlan>;

/**
 * A plan for whoever approves it. Of a drill: what is restored and how old it is, how much that is, what will be created where
 * and for how long, what will be compared. Of another form, or of a worker of another version: {@link planFacts}.
 */
export function planLines(view: PlanView | null, nowMs: number): string[] {
  const parsed = drillPlan.safeParse(view?.plan);
  if (!parsed.success) return view === null ? [] : planFacts(view);
  const { recoveryPoint, recoverTo, declaredAt, provider, archive, predicted, costs, drawn, creates, taskQueue, notVerified, allowNotProven } = parsed.data;
  const row = (name: string, text: string) => `${name.padEnd(9)} ${plain(text)}`;
  return [
    row('restores', `${recoveryPoint.id} (${provider}), taken ${recoveryPoint.takenAt}, ${formatSeconds((nowMs - Date.parse(recoveryPoint.takenAt)) / 1_000)} ago`),
    ...(drawn === undefined ? [] : [row('drawn', drawn)]),
    row('replays', `to ${recoverTo === null ? `the end of the archive as it was at ${declaredAt}` : recoverTo.time}`),
    row('takes', `about ${formatSeconds(predicted.seconds).replace(/\.0+ s$/, ' s')} (${predicted.from}) for ${formatBytes(predicted.bytes)}: ${formatBytes(recoveryPoint.sizeBytes)}, and ${formatBytes(archive.bytes)} of archive`),
    ...(costs ? [row('costs', costs.estimate.amount === null || !costs.prices ? costs.estimate.method : `about ${moneyOf(costs.estimate.amount, costs.prices.currency)}: ${costs.estimate.method}`)] : []),
    row('creates', `${creates.directory}${taskQueue === TASK_QUEUE ? '' : ` on ${taskQueue.replace(`${TASK_QUEUE}@`, '')}, with a database server`}; <fence> is a number that the lock gives`),
    row('expires', `with the run, which ends at the latest ${formatSeconds(creates.leaseMs / 1_000)} after it gets the target`),
    row('compares', comparedBy(parsed.data)),
    ...notVerified.open.map((reason) => row('leaves', `not verified: ${reason}`)),
    ...(allowNotProven ? [row('allows', 'that something is not compared: the run succeeds all the same')] : []),
  ];
}

function comparedBy({ depth, manifest, checks, probe }: ToldPlan): string {
  const what = depth === 'quick' ? 'definitions and numbers of rows' : 'every row and definition';
  return [
    manifest === null ? 'no rows, for want of a manifest' : `${what} of ${manifest.databases.map(({ name, tables }) => `${name} (${tables} tables)`).join(' and ')}`,
    `own checks: ${checks.length}`, `application probe: ${probe ? 'one' : 'none'}`,
  ].join('; ');
}
