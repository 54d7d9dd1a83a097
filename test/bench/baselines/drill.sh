#!/usr/bin/env bash
# The restore test by hand: verified copy, recovery to the manifest's position, comparison, recovery to the end, removal.
# BACKUP SUMS JOBS: see verified-cp.sh · WAL: the archive · DRILL: directory to make · BIN: of PostgreSQL · OWNER: uid:gid of the
# server, empty for ours · SETTINGS: file with what recovery needs · LSN: where to compare · QUERIES: one file of SQL per table,
# largest first · EXPECTED: what they must print, by the same names · CONNECTIONS · SUPERUSER · DATABASE
set -euo pipefail
here=${BASH_SOURCE[0]%/*}
server=
as_server=()
[ -z "$OWNER" ] || as_server=(setpriv "--reuid=${OWNER%:*}" "--regid=${OWNER#*:}" --clear-groups --)
clean_up() { [ -z "$server" ] || { kill -QUIT "$server" && wait "$server"; } 2>/dev/null || true; rm -rf "$DRILL"; }
trap clean_up EXIT

mkdir -m 700 "$DRILL" "$DRILL/socket" "$DRILL/wal" "$DRILL/found"
TARGET=$DRILL FLUSH=no BACKUP=$BACKUP SUMS=$SUMS JOBS=$JOBS bash "$here/verified-cp.sh"
cp -a "$WAL/." "$DRILL/wal"
cp "$BACKUP/backup_label" "$DRILL/data/"
for tablespace in "$DRILL"/tablespaces/*; do
  [ ! -d "$tablespace" ] || ln -s "$tablespace" "$DRILL/data/pg_tblspc/${tablespace##*/}"
done
: > "$DRILL/data/postgresql.auto.conf"
: > "$DRILL/data/recovery.signal"
echo 'local all all trust' > "$DRILL/hba.conf"

configure() { # configure ACTION [LSN]
  {
    cat "$SETTINGS"
    echo "hba_file = '$DRILL/hba.conf'"
    echo "unix_socket_directories = '$DRILL/socket'"
    echo "restore_command = 'ln -f $DRILL/wal/%f %p 2>/dev/null || cp $DRILL/wal/%f %p'"
    echo "wal_recycle = off"
    echo "recovery_target_action = '$1'"
    [ -z "${2:-}" ] || echo "recovery_target_lsn = '$2'"
  } > "$DRILL/postgresql.conf"
  [ -z "$OWNER" ] || chown "$OWNER" "$DRILL/postgresql.conf"
}
export PGHOST=$DRILL/socket PGUSER=$SUPERUSER PGDATABASE=$DATABASE
until_answer() { # until_answer QUERY ANSWER
  until [ "$(psql -XAtq -c "$1" 2>/dev/null)" = "$2" ]; do
    kill -0 "$server" 2>/dev/null || { tail -3 "$DRILL/log" >&2; exit 1; }
    sleep 0.03
  done
}
start() { "${as_server[@]}" "$BIN/postgres" -D "$DRILL/data" -c config_file="$DRILL/postgresql.conf" >> "$DRILL/log" 2>&1 & server=$!; }

configure pause "$LSN"
[ -z "$OWNER" ] || chown -R "$OWNER" "$DRILL"
start
until_answer "SELECT CASE WHEN pg_is_in_recovery() THEN pg_get_wal_replay_pause_state() END" paused

export PGOPTIONS="-c search_path=pg_catalog -c timezone=UTC -c datestyle=ISO -c intervalstyle=iso_8601 -c bytea_output=hex -c extra_float_digits=3 -c jit=off -c max_parallel_workers_per_gather=$CONNECTIONS -c parallel_setup_cost=0 -c min_parallel_table_scan_size=8MB"
( cd "$QUERIES" && printf '%s\n' * ) | xargs -d '\n' -P "$CONNECTIONS" -I NAME psql -XAtq -v ON_ERROR_STOP=1 -f "$QUERIES/NAME" -o "$DRILL/found/NAME"
diff -r "$EXPECTED" "$DRILL/found" >&2

kill -INT "$server"; wait "$server"; server=
configure promote
start
until_answer 'SELECT pg_is_in_recovery()' f
clean_up
trap - EXIT
sync -f "${DRILL%/*}"
