#!/usr/bin/env bash
# Fingerprints every row as text: one parallel sum per table, CONNECTIONS tables at a time. Prints table, rows, sum.
# PGHOST PGPORT PGUSER PGDATABASE CONNECTIONS
set -euo pipefail
. "${BASH_SOURCE[0]%/*}/tables.sh"
list_tables | cut -f 2 | xargs -d '\n' -P "$CONNECTIONS" -I TABLE \
  psql -XAtq -v ON_ERROR_STOP=1 -c "SELECT 'TABLE', count(*), sum(hashtextextended(t::text COLLATE \"C\", 0)) FROM ONLY TABLE t"
