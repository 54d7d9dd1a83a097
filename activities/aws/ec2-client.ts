import type * as Sdk from '@aws-sdk/client-ec2';
import { perAccess } from './per-access.ts';

/** A client, and the module that has the commands for it: who gets both need not load the SDK. */
export interface Ec2 { sdk: typeof Sdk; client: Sdk.EC2Client }

/** EC2 of an account in a region. */
export const ec2Client = perAccess<Ec2>(async (options) => {
  const sdk = await import('@aws-sdk/client-ec2');
  return { sdk, client: new sdk.EC2Client(options) };
});
