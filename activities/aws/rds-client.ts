import type * as Sdk from '@aws-sdk/client-rds';
import { perAccess } from './per-access.ts';

/** What is spoken with: the SDK's commands, and a client. */
export interface Rds { sdk: typeof Sdk; client: Sdk.RDSClient }

/** RDS of an account in a region. */
export const rdsClient = perAccess<Rds>(async (options) => {
  const sdk = await import('@aws-sdk/client-rds');
  return { sdk, client: new sdk.RDSClient(options) };
});
