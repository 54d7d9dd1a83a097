import { onlyIf, quotedName } from './only-if.ts';

/**
 * SQL that takes ACCESS SHARE, by name, which keeps others from renaming it, from dropping it, and from putting another file in its place.
 * @param relation as it was listed; `kind` is that of pg_class
 * @param from the same, quoted as it is to be read: without ONLY its partitions, and what inherits from it, are locked as well
 */
export function lockStatement(relation: { schema: string; name: string; kind: string }, from: string): string {
  // LOCK TABLE refuses materialized views; a query takes the same lock when it is prepared, and is planned, which may run functions, only when it is executed.
  if (relation.kind === 'm') return `${onlyIf(`pg_relation_filenode(to_regclass(${quotedName(relation)})) IS NOT NULL`)}; PREPARE locking AS SELECT FROM ${from}; DEALLOCATE locking`;
  return `LOCK TABLE ${from} IN ACCESS SHARE MODE`;
}
