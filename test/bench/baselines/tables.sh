# Sourced: lists what has rows, largest first, as "kind<TAB>quoted name". Uses psql with PGHOST, PGPORT, PGUSER, PGDATABASE.
list_tables() {
  psql -XAtq -F $'\t' -v ON_ERROR_STOP=1 -c "
    SELECT c.relkind, format('%I.%I', n.nspname, c.relname)
    FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE c.relkind IN ('r', 'm') AND c.relpersistence = 'p'
      AND (n.nspname NOT IN ('pg_catalog', 'information_schema', 'pg_toast') OR c.relname IN ('pg_largeobject', 'pg_largeobject_metadata'))
    ORDER BY pg_table_size(c.oid) DESC"
}
# What is printed must not depend on the session; parallel plans, so that one large table at the end keeps no core idle.
export PGOPTIONS="-c search_path=pg_catalog -c timezone=UTC -c datestyle=ISO -c intervalstyle=iso_8601 -c bytea_output=hex -c extra_float_digits=3 -c jit=off -c max_parallel_workers_per_gather=$CONNECTIONS -c parallel_setup_cost=0 -c min_parallel_table_scan_size=8MB"
