import type { Client } from 'pg';
import type { Manifest, NotVerified } from '../../contracts/manifest.ts';

/** Which secrets of the catalog the role that reads may see, and so compare. */
export interface ReadableSecrets {
  /** Verifiers of roles, in pg_authid. */
  passwords: boolean;
  /** Connection strings of subscriptions and their settings, in pg_subscription. */
  subscriptions: boolean;
}

const PASSWORDS = 'passwords of roles';
const SUBSCRIPTIONS = 'connections and settings of subscriptions';

/** Asks the server what the role may see; `hidden` lists what it may not, where there is any. */
export async function readableSecrets(client: Client): Promise<{ readable: ReadableSecrets; hidden: NotVerified[] }> {
  const { rows: [row] } = await client.query<ReadableSecrets & { subscribed: boolean }>(
    `SELECT has_table_privilege('pg_authid', 'SELECT') AS passwords, has_table_privilege('pg_subscription', 'SELECT') AS subscriptions,
       EXISTS (SELECT oid FROM pg_subscription) AS subscribed`);
  const readable = { passwords: row?.passwords === true, subscriptions: row?.subscriptions === true };
  return {
    readable,
    hidden: [
      ...(readable.passwords ? [] : [{ database: null, what: PASSWORDS, why: 'the role that reads may not see pg_authid', byDesign: false }]),
      ...(readable.subscriptions || row?.subscribed !== true ? [] : [{ database: null, what: SUBSCRIPTIONS, why: 'the role that reads may not see all of pg_subscription', byDesign: false }]),
    ],
  };
}

/** What is compared is what the manifest could see: a copy may show its reader more, and that is no difference. */
export function secretsCompared(manifest: Manifest, { readable }: { readable: ReadableSecrets }): ReadableSecrets {
  const isHidden = (what: string): boolean => manifest.notVerified.some((entry) => entry.database === null && entry.what === what);
  return { passwords: readable.passwords && !isHidden(PASSWORDS), subscriptions: readable.subscriptions && !isHidden(SUBSCRIPTIONS) };
}

/** As many rounds as a SCRAM verifier has by default: whoever has a manifest guesses no faster than whoever has the catalog. */
const ROUNDS = 4096;

/** What stands for the salt in a query of the catalog. */
export const SALT = '{salt}';

/** SQL: a digest of a text that may hold a password in clear, slow to guess; some milliseconds a value. */
export const slowDigest = (text: string): string =>
  `(WITH RECURSIVE round(i, h) AS (SELECT 1, sha256(convert_to('${SALT}' || (${text}), 'UTF8')) UNION ALL SELECT i + 1, sha256(h || '\\x${SALT}'::bytea) FROM round WHERE i < ${ROUNDS})
    SELECT encode(h, 'hex') FROM round WHERE i = ${ROUNDS})`;

/** SQL: a digest of a text that mostly holds no secret, of which there may be many. */
export const quickDigest = (text: string): string => `encode(sha256(convert_to('${SALT}' || (${text}), 'UTF8')), 'hex')`;
