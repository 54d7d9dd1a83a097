import type * as Sdk from '@aws-sdk/client-kms';
import { perAccess } from './per-access.ts';

/** A client, and the module that has the commands for it: who gets both need not load the SDK. */
export interface Kms { sdk: typeof Sdk; client: Sdk.KMSClient }

/** KMS of an account in a region. */
export const kmsClient = perAccess<Kms>(async (options) => {
  const sdk = await import('@aws-sdk/client-kms');
  return { sdk, client: new sdk.KMSClient(options) };
});
