import { z } from 'zod';
import { moneyOf, pricesSchema } from './costs.ts';
import { objectivesInWords } from './objectives.ts';
import { plain } from './plain.ts';
import { bounded, factsOf, planFacts, type PlanView } from './plan-facts.ts';
import { formatBytes, formatSeconds } from './quantities.ts';
import { TASK_QUEUE } from './search-attributes.ts';
import { shortened } from './whole-characters.ts';

/** What is told of a drill's plan. The run may be of a worker of another version. */
const drillPlan = z.object({
  taskQueue: z.string(), depth: z.string(), provider: z.string(), declaredAt: z.string(),
  recoveryPoint: z.object({ id: z.string(), takenAt: z.string(), sizeBytes: z.number() }),
  recoverTo: z.object({ time: z.string() }).nullable(),
  archive: z.object({ bytes: z.number() }),
  manifest: z.object({ databases: z.array(z.object({ name: z.string(), tables: z.number() })) }).nullable(), comparesWith: z.string().optional(),
  predicted: z.object({ bytes: z.number(), seconds: z.number(), from: z.string() }),
  costs: z.object({ prices: pricesSchema.nullable(), estimate: z.object({ amount: z.number().nullable(), method: z.string() }) }).optional(), drawn: z.string().optional(),
  creates: z.object({ directory: z.string(), leaseMs: z.number() }),
  objectives: z.object({ rto: z.number().optional(), rpo: z.number().optional(), rtaIs: z.string().optional(), failWhenMissed: z.boolean().optional() }).optional(),
  checks: z.array(z.unknown()), probe: z.unknown(), allowNotProven: z.boolean().optional(),
  notVerified: z.object({ open: z.array(z.string()) }),
});
type ToldPlan = z.output<typeof drillPlan>;

/** What a gate, a message and a terminal have room for, of a plan that is told in sentences. */
const MOST = 24;
const LONGEST = 400;
/** Of each field of the input: what somebody gave as a reason may be long. */
const LONGEST_FIELD = 80;

/**
 * A plan for whoever approves it, the same wherever they look: in a terminal, in messages, in the web UI. Of a drill: what is
 * restored and how old it is, how much that is, what will be created where and for how long, what will be compared, and what
 * it is held against; then the input and the version of the code, which the plan's hash covers too. Of another form, or of a
 * worker of another version: {@link planFacts}. `nowMs`: null where it is shown for so long that an age would become wrong.
 */
export function planLines(view: Pick<PlanView, 'plan' | 'input' | 'codeVersion'> | null, nowMs: number | null): string[] {
  const parsed = drillPlan.safeParse(view?.plan);
  if (!parsed.success) return view === null ? [] : planFacts(view);
  const { recoveryPoint, recoverTo, declaredAt, provider, archive, predicted, costs, drawn, creates, taskQueue, notVerified, allowNotProven, objectives } = parsed.data;
  const row = (name: string, text: string) => shortened(`${name.padEnd(9)} ${plain(text)}`, LONGEST);
  const age = nowMs === null ? '' : `, ${formatSeconds((nowMs - Date.parse(recoveryPoint.takenAt)) / 1_000)} ago`;
  return bounded([
    row('restores', `${recoveryPoint.id} (${provider}), taken ${recoveryPoint.takenAt}${age}`),
    ...(drawn === undefined ? [] : [row('drawn', drawn)]),
    row('replays', `to ${recoverTo === null ? `the end of the archive as it was at ${declaredAt}` : recoverTo.time}`),
    row('takes', `about ${formatSeconds(predicted.seconds).replace(/\.0+ s$/, ' s')} (${predicted.from}) for ${formatBytes(predicted.bytes)}: ${formatBytes(recoveryPoint.sizeBytes)}, and ${formatBytes(archive.bytes)} of archive`),
    ...(costs ? [row('costs', costs.estimate.amount === null || !costs.prices ? costs.estimate.method : `about ${moneyOf(costs.estimate.amount, costs.prices.currency)}: ${costs.estimate.method}`)] : []),
    row('creates', `${creates.directory}${taskQueue === TASK_QUEUE ? '' : ` on ${taskQueue.replace(`${TASK_QUEUE}@`, '')}, with a database server`}; <fence> is a number that the lock gives`),
    row('expires', `with the run, which ends at the latest ${formatSeconds(creates.leaseMs / 1_000)} after it gets the target`),
    row('compares', comparedBy(parsed.data)),
    ...(objectives ? [row('aims at', objectivesInWords(objectives) ?? 'neither an RTO nor an RPO')] : []),
    ...(allowNotProven ? [row('allows', 'that something is not compared: the run succeeds all the same')] : []),
    ...inputRow(view?.input, row),
    ...(view?.codeVersion === undefined ? [] : [row('code', `version ${view.codeVersion}`)]),
    ...notVerified.open.map((reason) => row('leaves', `not verified: ${reason}`)),
  ], MOST);
}

function inputRow(input: unknown, row: (name: string, text: string) => string): string[] {
  const fields = factsOf(input ?? undefined, []).map((fact) => shortened(fact, LONGEST_FIELD));
  return fields.length === 0 ? [] : [row('input', fields.join(', '))];
}

function comparedBy({ depth, manifest, comparesWith, checks, probe }: ToldPlan): string {
  const what = depth === 'quick' ? 'definitions and numbers of rows' : 'every row and definition';
  const withWhat = comparesWith === undefined ? '' : ', with the manifest or the living source';
  return [
    manifest === null ? 'no rows, for want of a manifest' : `${what} of ${manifest.databases.map(({ name, tables }) => `${name} (${tables} tables)`).join(' and ')}${withWhat}`,
    `own checks: ${checks.length}`, `application probe: ${probe ? 'one' : 'none'}`,
  ].join('; ');
}
