/** PostgreSQL's FirstNormalObjectId: what initdb made lies below. */
export const FIRST_OF_USERS = 16_384;

/**
 * SQL: whether an object is to be compared, by its oid and the namespace `n` that it lies in. What initdb made has an oid
 * below {@link FIRST_OF_USERS} and is the same in every cluster of a version; what users put beside it has not, as
 * extensions do with tables and functions in pg_catalog. TOAST tables are read with what they belong to, temporary ones never.
 */
export function isOfUsers(oid: string, n = 'n'): string {
  return `(${oid} >= ${FIRST_OF_USERS} OR ${n}.nspname NOT IN ('pg_catalog', 'information_schema')) AND ${n}.nspname <> 'pg_toast' AND ${n}.nspname !~ '^pg_(toast_)?temp_'`;
}
