import type * as Sdk from '@aws-sdk/client-iam';
import { perAccess } from './per-access.ts';

/** A client, and the module that has the commands for it: who gets both need not load the SDK. */
export interface Iam { sdk: typeof Sdk; client: Sdk.IAMClient }

/** IAM of an account, as seen from a region. */
export const iamClient = perAccess<Iam>(async (options) => {
  const sdk = await import('@aws-sdk/client-iam');
  return { sdk, client: new sdk.IAMClient(options) };
});
