import type { ClientConfig } from 'pg';

/** Nobody but a superuser can put anything there. Where pg_temp is not named it comes first, for tables and types. */
export const OWN_SEARCH_PATH = 'pg_catalog, pg_temp';

/**
 * Connects with our own search path, from the first statement on: whoever owns a database may set another one for it, in which
 * functions and operators of theirs have the names of PostgreSQL's, and would be run with our rights. An option of the
 * connection outranks what ALTER DATABASE and ALTER ROLE set. Other options that it has stay; this one comes last, which counts.
 */
export function withOwnSearchPath<Config extends ClientConfig>(config: Config): Config {
  // The driver looks into the environment only where there are none.
  const given = config.options ?? process.env['PGOPTIONS'] ?? '';
  return { ...config, options: `${given} -c search_path=${OWN_SEARCH_PATH.replaceAll(' ', '')}`.trimStart() };
}
