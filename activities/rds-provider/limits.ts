import type * as Sdk from '@aws-sdk/client-rds';

/** What no drill of an RDS instance shows, each in words for `notVerified`. */
export function limitsOf({ DBInstanceIdentifier: identifier, MultiAZ }: Sdk.DBInstance): string[] {
  return [
    MultiAZ === true ? `failover: ${identifier} has a standby, and the copy is made without one, so that nothing failed over` : `failover: ${identifier} has no standby (Multi-AZ is off), so there is nothing to fail over to`,
    'files: RDS shows them to nobody, and amcheck only to who may create it; what can be read was compared, and no page for itself',
  ];
}
