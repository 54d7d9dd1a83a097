import type * as Sdk from '@aws-sdk/client-sts';
import { perAccess } from './per-access.ts';

/** A client, and the module that has the commands for it: who gets both need not load the SDK. */
export interface Sts { sdk: typeof Sdk; client: Sdk.STSClient }

/** STS of an account in a region. */
export const stsClient = perAccess<Sts>(async (options) => {
  const sdk = await import('@aws-sdk/client-sts');
  return { sdk, client: new sdk.STSClient(options) };
});
