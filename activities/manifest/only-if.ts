import { escapeIdentifier, escapeLiteral } from 'pg';

/** No relation of this name can be made by users: only a superuser puts anything into pg_catalog. */
const GONE = 'pg_catalog.moved';

/**
 * A statement that fails as if a table were gone (42P01) unless `condition` holds. What comes after it in the same message is
 * then neither run nor even looked at: an answer that is judged here, once all of it was run, would come too late where
 * somebody has put a view, or a column of a type with casts of their own, in the place of what was listed.
 */
export function onlyIf(condition: string): string {
  return `SELECT (CASE WHEN ${condition} THEN 'pg_catalog.pg_class' ELSE '${GONE}' END)::regclass`;
}

/** The name of a relation as an SQL string, whatever a session makes of backslashes, for to_regclass, which like all that takes an oid answers as of now and not as of the snapshot. */
export function quotedName({ schema, name }: { schema: string; name: string }): string {
  return escapeLiteral(`${escapeIdentifier(schema)}.${escapeIdentifier(name)}`);
}

/**
 * A condition that is always true, costs nothing, and is refused (42804) where a column is of another kind of type than
 * these of PostgreSQL's own: a function that takes one of those takes, by a cast, a type of users as well, and runs their
 * code. Such a type is an enum, a composite, a range or an array, none of which COALESCE takes together with a number or a text.
 * @param columns quoted
 */
export function areOfTheirTypes(columns: readonly { column: string; type: string }[]): string | undefined {
  return columns.length === 0 ? undefined : `(true OR ${columns.map(({ column, type }) => `coalesce(${column}, NULL::${type}) IS NULL`).join(' OR ')})`;
}
