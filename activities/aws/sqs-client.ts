import type * as Sdk from '@aws-sdk/client-sqs';
import { perAccess } from './per-access.ts';

/** A client, and the module that has the commands for it: who gets both need not load the SDK. */
export interface Sqs { sdk: typeof Sdk; client: Sdk.SQSClient }

/** The longest that SQS keeps a call waiting for a message, in seconds. */
export const LONGEST_POLL_SECONDS = 20;
/** Whoever asks looks by itself too, and asks again: fewer attempts than elsewhere. */
const ATTEMPTS = 3;
const CONNECT_MS = 3_000;
const ANSWER_MS = (LONGEST_POLL_SECONDS + 5) * 1_000;

/** SQS of an account in a region, for calls that wait for messages. */
export const sqsClient = perAccess<Sqs>(async (options) => {
  const sdk = await import('@aws-sdk/client-sqs');
  return { sdk, client: new sdk.SQSClient({ ...options, maxAttempts: ATTEMPTS, retryMode: 'standard', requestHandler: { connectionTimeout: CONNECT_MS, requestTimeout: ANSWER_MS } }) };
});
