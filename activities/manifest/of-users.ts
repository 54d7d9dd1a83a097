/**
 * SQL: whether an object is to be compared, by its oid and the namespace `n` that it lies in. What initdb made has an oid
 * below 16384 (FirstNormalObjectId) and is the same in every cluster of a version; what users put beside it has not, as
 * extensions do with tables and functions in pg_catalog. TOAST tables are read with what they belong to, temporary ones never.
 */
export function isOfUsers(oid: string, n = 'n'): string {
  return `(${oid} >= 16384 OR ${n}.nspname NOT IN ('pg_catalog', 'information_schema')) AND ${n}.nspname <> 'pg_toast' AND ${n}.nspname !~ '^pg_(toast_)?temp_'`;
}
