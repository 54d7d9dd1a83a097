import type { ObjectStoreSettings } from '../../contracts/evidence-copies.ts';

/** What the SDK throws: a server's answer has a status, what did not come to one has a code of the system, mostly. */
interface Thrown { name?: string; code?: unknown; $metadata?: { httpStatusCode?: number } }

/** One sentence that says what to change. */
export class ObjectStoreProblem extends Error {
  override readonly name = 'ObjectStoreProblem';
}

/** Which store it is about. */
export type AskedStore = Pick<ObjectStoreSettings, 'endpoint' | 'region'> & { bucket: string };

const CREDENTIALS = 'set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE, for whoever runs this, or give the host a role';

/** By the name of the error. */
const SENTENCES: Readonly<Record<string, (store: AskedStore) => string>> = {
  NoSuchBucket: ({ bucket }) => `there is no bucket ${bucket}; create it, or correct evidence.copies`,
  AccessDenied: denied,
  PermanentRedirect: wrongRegion,
  TemporaryRedirect: wrongRegion,
  AuthorizationHeaderMalformed: wrongRegion,
  InvalidAccessKeyId: () => refused('InvalidAccessKeyId'),
  SignatureDoesNotMatch: () => refused('SignatureDoesNotMatch'),
  InvalidToken: () => refused('InvalidToken'),
  ExpiredToken: () => refused('ExpiredToken'),
  RequestTimeTooSkewed: () => 'its clock and that of this host differ by more than it allows; set this host\'s',
  CredentialsProviderError: () => `there are no credentials for it; ${CREDENTIALS}`,
  TokenProviderError: () => `there are no credentials for it; ${CREDENTIALS}`,
  NotImplemented: () => 'its server cannot do what evidence needs (NotImplemented): a put with If-None-Match, a get and a list; take another server',
  ConditionalRequestConflict: () => 'others put the same name again and again; it is tried again later',
};

/**
 * One sentence that says what to change. What was thrown is no part of it, and no cause: servers repeat what they were sent,
 * and programs that give credentials print what they like.
 */
export function explainObjectStore(error: unknown, store: AskedStore): ObjectStoreProblem {
  return error instanceof ObjectStoreProblem ? error : new ObjectStoreProblem(sentenceOf(error, store));
}

function sentenceOf(error: unknown, store: AskedStore): string {
  const { name = '', code, $metadata } = error as Thrown;
  const status = $metadata?.httpStatusCode;
  const known = Object.hasOwn(SENTENCES, name) ? SENTENCES[name] : undefined;
  if (known) return known(store);
  if (status === 301 || status === 307) return wrongRegion(store);
  if (status === 403) return denied(store);
  if (status !== undefined && status >= 300) return `it answered ${status}${plain(name)}; look at the server, and at evidence.copies`;
  const where = store.endpoint ?? 'its endpoint';
  if (isOfCertificate(code)) return `the certificate of ${where} is not trusted (${code}); name the file of its authority in NODE_EXTRA_CA_CERTS, or set forcePathStyle where the bucket's name has dots`;
  if (typeof code === 'string' || name === 'TimeoutError') return `${where} cannot be reached${plain(code)}; correct endpoint or region in evidence.copies, or see what keeps this host from it`;
  return `it could not be asked${plain(name)}; look at evidence.copies and at the settings of the AWS SDK on this host`;
}

function denied({ bucket }: AskedStore): string {
  return `access is denied; allow these credentials s3:ListBucket on ${bucket}, and s3:GetObject and s3:PutObject on what is in it`;
}

function wrongRegion({ bucket, region }: AskedStore): string {
  return `the bucket ${bucket} is in another region${region === undefined ? '' : ` than ${region}`}; set region for it in evidence.copies`;
}

function refused(why: string): string {
  return `its server does not take the credentials (${why}); correct those that are set, or ${CREDENTIALS}`;
}

function isOfCertificate(code: unknown): code is string {
  return typeof code === 'string' && /CERT|SELF_SIGNED|UNABLE_TO_VERIFY|ISSUER/.test(code);
}

/** Names of errors come from servers, too. */
function plain(name: unknown): string {
  return typeof name === 'string' && /^[A-Za-z_][A-Za-z0-9_]{0,60}$/.test(name) && name !== 'Error' ? ` (${name})` : '';
}
