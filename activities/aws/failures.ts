import { ApplicationFailure } from '@temporalio/common';

/** Whether an error of the AWS SDK has one of these names, which are those of the API, with or without `Fault`. */
export function isNamed(error: unknown, ...names: string[]): boolean {
  return error instanceof Error && names.some((name) => error.name === name || error.name === `${name}Fault`);
}

/** What a call answers; undefined where AWS says with one of these names that there is none. */
export async function ifThere<Answer>(call: Promise<Answer>, ...names: string[]): Promise<Answer | undefined> {
  return call.catch((error: unknown) => {
    if (isNamed(error, ...names)) return undefined;
    throw error;
  });
}

/** AWS does not let this principal do it, or does not know it. */
const DENIED = /^(AccessDenied(Exception)?|UnauthorizedOperation|UnrecognizedClientException|InvalidClientTokenId|ExpiredToken(Exception)?|SignatureDoesNotMatch|AuthFailure|CredentialsProviderError|KMSKeyNotAccessible(Fault)?)$/;
/** Whether AWS refuses this principal what it asked for, or does not know it. */
export function isDenied(error: unknown): boolean {
  return error instanceof Error && DENIED.test(error.name);
}

/** Passes, mostly. */
const BUSY = /^(Throttling(Exception)?|ThrottledException|RequestThrottled(Exception)?|KmsThrottled|OverLimit|RequestLimitExceeded|TooManyRequestsException|TimeoutError|RequestTimeout|ServiceUnavailable|InternalFailure|InternalError|InsufficientDBInstanceCapacity(Fault)?)$/;
/** Something else is being done to it. Not so a network's state (InvalidVPCNetworkState), which stays. */
const OCCUPIED = /^Invalid(DBInstance|DBSnapshot|DBParameterGroup)State(Fault)?$/;
/** Somebody has to make room. */
const QUOTA = /Quota|LimitExceeded/;
/** What the configuration or the input names is not there, or cannot be. */
const MISNAMED = /NotFound(Fault)?$|^Invalid|^ValidationError$|NotEnabled(Fault)?$|NotAllowed(Fault)?$/;

/** Whether it says nothing of what was asked, and may be otherwise in a moment: busy, out of order, or without an answer. */
export function isPassing(error: unknown): boolean {
  const explained = explainAws(error, '');
  return explained instanceof ApplicationFailure && explained.type === 'UNAVAILABLE' && explained.nonRetryable !== true;
}

/**
 * An error of AWS as a failure with a type, in one sentence: what was done, and what AWS said. What nobody knows stays as it is.
 * @param doing such as "restoring the snapshot x"
 * @param options.isForLong it is asked for hours: credentials, and what they may, can be put right meanwhile
 */
export function explainAws(error: unknown, doing: string, { isForLong = false }: { isForLong?: boolean } = {}): unknown {
  if (error instanceof ApplicationFailure || !(error instanceof Error)) return error;
  // What was given up is no answer; why it was may be known.
  if (error.name === 'AbortError') return error.cause instanceof ApplicationFailure ? error.cause : error;
  const { name, message, $metadata } = error as Error & { $metadata?: { httpStatusCode?: number } };
  const said = (type: string, nonRetryable: boolean, todo = '') => ApplicationFailure.create({ message: `${doing}: AWS answered ${name} (${message})${todo}`, type, nonRetryable, cause: error });
  if (DENIED.test(name)) return said('CONFIGURATION', !isForLong, '; look at the credentials, and at docs/reference/iam for what the role needs');
  if (BUSY.test(name) || OCCUPIED.test(name) || ($metadata?.httpStatusCode ?? 0) >= 500) return said('UNAVAILABLE', false);
  if (QUOTA.test(name)) return said('PREFLIGHT', true, '; have the quota raised, or remove what is not needed');
  if (MISNAMED.test(name)) return said('CONFIGURATION', true);
  // No answer at all: from a socket, or from the name service.
  if ('code' in error && typeof error.code === 'string') return ApplicationFailure.create({ message: `${doing}: AWS does not answer (${error.code})`, type: 'UNAVAILABLE', nonRetryable: false, cause: error });
  return error;
}
