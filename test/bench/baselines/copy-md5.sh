#!/usr/bin/env bash
# Fingerprints every row by copying it out of the server, CONNECTIONS tables at a time. Prints table and MD5.
# PGHOST PGPORT PGUSER PGDATABASE CONNECTIONS
set -euo pipefail
. "${BASH_SOURCE[0]%/*}/tables.sh"
copy_one() {
  set -o pipefail
  local from=${1#*$'\t'}
  # COPY takes a materialized view only as a query, before PostgreSQL 18.
  [ "${1%%$'\t'*}" = r ] || from="(SELECT * FROM $from)"
  printf '%s %s\n' "$(psql -XAtq -v ON_ERROR_STOP=1 -c "COPY $from TO STDOUT" | md5sum)" "${1#*$'\t'}"
}
export -f copy_one
list_tables | xargs -d '\n' -P "$CONNECTIONS" -I LINE bash -c 'copy_one "$1"' bash LINE
