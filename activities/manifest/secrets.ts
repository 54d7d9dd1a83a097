import type { Client } from 'pg';
import type { DatabaseManifest, NotVerified } from '../../contracts/manifest.ts';

/** Which secrets of the catalog the role that reads may see, and so compare. */
export interface ReadableSecrets {
  /** Verifiers of roles, in pg_authid. */
  passwords: boolean;
  /** Connection strings of subscriptions and their settings, in pg_subscription. */
  subscriptions: boolean;
}

/** Asks the server what the role may see in the database of the client; `hidden` lists what it may not, where there is any. */
export async function readableSecrets(client: Client): Promise<{ readable: ReadableSecrets; hidden: NotVerified[] }> {
  const { rows: [row] } = await client.query<ReadableSecrets & { subscribed: boolean; database: string }>(
    `SELECT has_table_privilege('pg_authid', 'SELECT') AS passwords, has_table_privilege('pg_subscription', 'SELECT') AS subscriptions, d.datname AS database,
       EXISTS (SELECT FROM pg_subscription WHERE subdbid = d.oid) AS subscribed FROM pg_database d WHERE d.datname = current_database()`);
  const readable = { passwords: row?.passwords === true, subscriptions: row?.subscriptions === true };
  return {
    readable,
    hidden: [
      ...(readable.passwords ? [] : [{ database: null, what: 'passwords of roles', why: 'the role that reads may not see pg_authid', byDesign: false }]),
      ...(readable.subscriptions || row?.subscribed !== true ? [] : [{ database: row.database, what: 'connections and settings of subscriptions', why: 'the role that reads may not see all of pg_subscription', byDesign: false }]),
    ],
  };
}

/** What is compared is what the manifest could see: a copy may show its reader more, and that is no difference. */
export function secretsCompared({ mayRead }: DatabaseManifest, { readable }: { readable: ReadableSecrets }): ReadableSecrets {
  return { passwords: readable.passwords && mayRead?.passwords === true, subscriptions: readable.subscriptions && mayRead?.subscriptions === true };
}

/** As many rounds as a SCRAM verifier has by default: whoever has a manifest guesses no faster than whoever has the catalog. */
const ROUNDS = 4096;

/** What stands for the salt in a query of the catalog. */
export const SALT = '{salt}';

/** Of more values of a kind in one catalog than this, one digest is made of all together: a second of one processor at most. */
const MOST_DIGESTS = 200;

const slowDigest = (text: string): string =>
  `(WITH RECURSIVE round(i, h) AS (SELECT 1, sha256(convert_to('${SALT}' || (${text}), 'UTF8')) UNION ALL SELECT i + 1, sha256(h || decode('${SALT}', 'hex')) FROM round WHERE i < ${ROUNDS})
    SELECT encode(h, 'hex') FROM round WHERE i = ${ROUNDS})`;

/** SQL: a digest of a column `x.…` of `table` that may hold passwords in clear, slow to guess; NULL without a value, and where all are digested together. */
export const slowDigestOf = (table: string, column: string): string =>
  `CASE WHEN ${column} IS NOT NULL AND (SELECT count(${column}) FROM ${table} x) <= ${MOST_DIGESTS} THEN ${slowDigest(`${column}::text`)} END`;

/** SQL: where there are too many to digest one by one, one object for all of the rows; whoever guesses at one must know all others. */
export const slowDigestOfAll = (table: string, column: string, where = 'true'): string =>
  `SELECT 'all options together' AS identity, ${slowDigest('o.texts')} AS definition
   FROM (SELECT string_agg(concat_ws(' ', x.oid, ${quickDigest(`${column}::text`)}), ',' ORDER BY x.oid) AS texts FROM ${table} x
     WHERE ${where} HAVING (SELECT count(${column}) FROM ${table} x) > ${MOST_DIGESTS}) o WHERE o.texts IS NOT NULL`;

/** SQL: a digest of a text that mostly holds no secret, of which there may be many. */
export function quickDigest(text: string): string {
  return `encode(sha256(convert_to('${SALT}' || (${text}), 'UTF8')), 'hex')`;
}
