import type * as Sdk from '@aws-sdk/client-rds';
import type { Point } from '../dr-test/provider.ts';
import { instantOfId, wholeSecond } from './points.ts';

/** What no drill of an RDS instance shows, each in words for `notVerified`. */
export function limitsOf({ DBInstanceIdentifier: identifier, MultiAZ }: Sdk.DBInstance): string[] {
  return [
    MultiAZ === true ? `failover: ${identifier} has a standby, and the copy is made without one, so that nothing failed over` : `failover: ${identifier} has no standby (Multi-AZ is off), so there is nothing to fail over to`,
    'files: RDS shows them to nobody, and amcheck only to who may create it; what can be read was compared, and no page for itself',
    'settings: a copy has a parameter group of its own, and RDS sets some by class and by itself; those of the group were taken over, and the others of the source were not compared',
    'warmth: RDS loads the blocks of a copy when they are first read, or behind the scenes; the times of comparing and of checks have that in them, apart from the time until the copy could be connected to, and how fast production would be on it was not measured',
  ];
}

/**
 * Of a drill that restores the second of the declaration itself: RDS had archived past it before it was asked, and tells nobody how far it
 * had come until then. It archives every five minutes (PITR in the User Guide of RDS).
 */
export function lossIsTheLeast({ id }: Pick<Point, 'id'>, asOf: Date): string[] {
  if (instantOfId(id)?.getTime() !== wholeSecond(asOf).getTime()) return [];
  return [`what a disaster at ${asOf.toISOString()} would have lost: when RDS was asked, it had archived past that, and it tells nobody how far it had come then, usually within five minutes; the loss that is counted is the least that it can have been`];
}
