import type { AwsAccess } from '../../contracts/rds.ts';

/** Attempts that the SDK makes of one call, the first included. Twenty seconds of throttling are waited out. */
const ATTEMPTS = 8;
const CONNECT_MS = 3_000;
/** Of one attempt: what hangs is given up, and what it asked for is found by its name. */
const ANSWER_MS = 20_000;

/** What each client of an account and a region is made with. */
async function optionsOf({ region, role }: AwsAccess) {
  const credentials = role && (await import('@aws-sdk/credential-providers')).fromTemporaryCredentials({ params: { RoleArn: role.arn, RoleSessionName: 'durable-runbooks', ...(role.externalId === undefined ? {} : { ExternalId: role.externalId }) }, clientConfig: { region } });
  return { region, maxAttempts: ATTEMPTS, retryMode: 'adaptive' as const, requestHandler: { connectionTimeout: CONNECT_MS, requestTimeout: ANSWER_MS }, ...(credentials ? { credentials } : {}) };
}
/** Region, credentials and patience; the client of a service that is waited for in another way, as SQS, has a patience of its own. */
export type ClientOptions = Awaited<ReturnType<typeof optionsOf>>;

/** One for each service. */
const forgetting: (() => void)[] = [];

/** Lets the next calls open clients anew, for a process that goes on with another AWS, as tests do with one lab after the other. */
export function forgetClients(): void {
  for (const forget of forgetting) forget();
}

/** Opens a service's client for an account and a region once: the same for the same. The SDK is loaded by whoever needs it, and not before. */
export function perAccess<Service>(open: (options: ClientOptions) => Promise<Service>): (access: AwsAccess) => Promise<Service> {
  const opened = new Map<string, Promise<Service>>();
  forgetting.push(() => opened.clear());
  return (access) => {
    const key = JSON.stringify([access.region, access.role?.arn, access.role?.externalId]);
    let service = opened.get(key);
    if (!service) {
      service = optionsOf(access).then(open);
      opened.set(key, service);
      service.catch(() => opened.delete(key));
    }
    return service;
  };
}
