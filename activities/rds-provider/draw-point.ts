import { ApplicationFailure } from '@temporalio/common';
import type { RdsProvider } from '../../contracts/rds.ts';
import type { Draw } from '../dr-test/draw.ts';
import { atSecond, type RdsPoint } from './points.ts';

/**
 * One of all that RDS can restore and that was there at an instant, not older than `provider.randomWithin` before that: a second, or
 * a snapshot where the coin falls so, or where there is no other. `points` as they are listed.
 * @throws ApplicationFailure `NOT_FOUND` where there is nothing to draw from
 */
export function drawPoint(points: readonly RdsPoint[], { instance, randomWithin, latest }: Pick<RdsProvider, 'instance' | 'randomWithin' | 'latest'>, { untilMs, draw }: { untilMs: number; draw: Draw }): { point: RdsPoint; from: string } {
  const sinceMs = randomWithin === undefined ? -Infinity : untilMs - randomWithin;
  const isIn = ({ completeAt, availableAt }: RdsPoint) => Date.parse(completeAt) >= sinceMs && Date.parse(availableAt) <= untilMs;
  const snapshots = points.filter((point) => point.kind === 'snapshot' && isIn(point));
  const seconds = latest === 'pointInTime' ? points.filter(({ kind }) => kind === 'time') : [];
  const [first, last] = [seconds[0], seconds.at(-1)];
  // The first one listed begins before the window opens, as whole seconds go.
  const fromSecond = first && Math.ceil(Math.max(Date.parse(first.completeAt) + 1_000, sinceMs) / 1_000);
  const toSecond = last && Math.floor(Math.min(Date.parse(last.completeAt), untilMs) / 1_000);
  const count = fromSecond !== undefined && toSecond !== undefined ? Math.max(0, toSecond - fromSecond + 1) : 0;
  const span = fromSecond !== undefined && toSecond !== undefined && count > 0 ? `${count} seconds from ${instantOf(fromSecond)} to ${instantOf(toSecond)}` : 'no second';
  const ofSnapshots = snapshots.length === 0 ? 'no snapshot' : `${snapshots.length} ${snapshots.length === 1 ? 'snapshot' : 'snapshots'} from ${snapshots[0]?.completeAt} to ${snapshots.at(-1)?.completeAt}`;
  const from = `${span} and ${ofSnapshots}${randomWithin === undefined ? '' : `, of the ${randomWithin / 86_400_000} days before ${new Date(untilMs).toISOString()} (provider.randomWithin)`}`;
  if (count > 0 && last && fromSecond !== undefined && (snapshots.length === 0 || draw(2, 1) === 0)) {
    const instant = new Date((fromSecond + draw(count)) * 1_000);
    return { point: atSecond(last, instant), from: `the second ${instant.toISOString()}, drawn from ${from}` };
  }
  const snapshot = snapshots[snapshots.length === 0 ? 0 : draw(snapshots.length)];
  if (snapshot) return { point: snapshot, from: `the snapshot ${snapshot.id} of ${snapshot.completeAt}, drawn from ${from}` };
  throw ApplicationFailure.nonRetryable(`There is nothing to draw a recovery point of ${instance} from: ${from}${randomWithin === undefined ? '; RDS keeps no backups of it, or none from before the declaration' : '; make provider.randomWithin longer'}.`, 'NOT_FOUND');
}

const instantOf = (second: number) => new Date(second * 1_000).toISOString();
