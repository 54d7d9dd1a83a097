import type * as Sdk from '@aws-sdk/client-rds';
import type { AwsAccess } from '../../contracts/rds.ts';

/** What is spoken with: the SDK's commands, and a client. */
export interface Rds { sdk: typeof Sdk; client: Sdk.RDSClient }

/** Attempts that the SDK makes of one call, the first included. Twenty seconds of throttling are waited out. */
const ATTEMPTS = 8;
const CONNECT_MS = 3_000;
/** Of one attempt: what hangs is given up, and what it asked for is found by its name. */
const ANSWER_MS = 20_000;

const opened = new Map<string, Promise<Rds>>();

/** A client for an account and a region; the same for the same. The SDK is loaded by whoever has an RDS, and not before. */
export function rdsClient(access: AwsAccess): Promise<Rds> {
  const key = JSON.stringify([access.region, access.role?.arn, access.role?.externalId]);
  let rds = opened.get(key);
  if (!rds) {
    rds = open(access);
    opened.set(key, rds);
    rds.catch(() => opened.delete(key));
  }
  return rds;
}

async function open({ region, role }: AwsAccess): Promise<Rds> {
  const sdk = await import('@aws-sdk/client-rds');
  const credentials = role && (await import('@aws-sdk/credential-providers')).fromTemporaryCredentials({ params: { RoleArn: role.arn, RoleSessionName: 'durable-runbooks', ...(role.externalId === undefined ? {} : { ExternalId: role.externalId }) }, clientConfig: { region } });
  const client = new sdk.RDSClient({ region, maxAttempts: ATTEMPTS, retryMode: 'adaptive', requestHandler: { connectionTimeout: CONNECT_MS, requestTimeout: ANSWER_MS }, ...(credentials ? { credentials } : {}) });
  return { sdk, client };
}
