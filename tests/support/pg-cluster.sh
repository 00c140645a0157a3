#!/bin/sh
# pg-cluster.sh - PostgreSQL clusters for tests: private, on a Unix socket, without fsync, thrown away afterwards.
#
#   pg-cluster.sh start DIR     one cluster for a whole run, migrated into the template database tiffin_template; prints
#                               TIFFIN_TEST_DATABASE_URL=<URL of its maintenance database>. DIR (made if missing) remembers it.
#   pg-cluster.sh stop DIR      stops it and removes everything of it; no error when there is none
#   pg-cluster.sh init PATH     only a new cluster in PATH, an empty directory that everybody can reach: data in PATH/data,
#                               socket in PATH/socket. The caller runs `postgres -D PATH/data` as the directory's owner.
#   pg-cluster.sh migrate URL   makes and migrates tiffin_template in the running cluster whose maintenance database is URL
#
# PostgreSQL refuses to run as root: for root everything runs as the user postgres. PG_BINDIR overrides where its programs are.
set -eu

root=$(CDPATH='' cd -- "$(dirname -- "$0")/../.." && pwd)
bin=${PG_BINDIR:-$(find /usr/lib/postgresql -mindepth 2 -maxdepth 2 -name bin | sort -V | tail -n 1)}

as_server() {
    if [ "$(id -u)" -eq 0 ]; then
        setpriv --reuid=postgres --regid=postgres --clear-groups -- "$@"
    else
        "$@"
    fi
}

init() {
    path=$1
    chmod 755 "$path"
    mkdir "$path/data" "$path/socket"
    : > "$path/log"
    if [ "$(id -u)" -eq 0 ]; then
        chown -R postgres:postgres "$path"
    fi
    cd / # the server's user may not be allowed to stand where we do
    as_server "$bin/initdb" -D "$path/data" -U postgres -A trust -E UTF8 --locale=C.UTF-8 --no-sync --no-instructions \
        > "$path/log" 2>&1 || { cat "$path/log" >&2; return 1; }
    cat >> "$path/data/postgresql.conf" <<END
listen_addresses = ''
unix_socket_directories = '$path/socket'
max_connections = 100
shared_buffers = 32MB
fsync = off
full_page_writes = off
wal_level = minimal
max_wal_senders = 0
END
    # Plans are made as they are in use.
    grep -E '^(random_page_cost|jit|work_mem|max_parallel_workers_per_gather) ' "$root/deploy/postgresql.conf" \
        >> "$path/data/postgresql.conf"
}

# The URL of the maintenance database; the socket's directory is its percent-encoded host, so the URL needs no quoting in a shell.
url_of() {
    printf 'postgresql://postgres@%s/postgres' "$(printf '%s/socket' "$1" | sed 's,%,%25,g; s,/,%2F,g')"
}

migrate() {
    url=$1
    template=${url%/*}/tiffin_template
    run_psql() {
        "$bin/psql" -X -q -v ON_ERROR_STOP=1 "$@" > /dev/null
    }
    run_psql -c 'CREATE DATABASE tiffin_template' "$url"
    run_psql -f "$root/db/roles.sql" "$template"
    for file in "$root"/db/[0-9]*.sql; do
        run_psql -1 -f "$file" "$template"
    done
    run_psql -c 'ALTER DATABASE tiffin_template WITH IS_TEMPLATE true ALLOW_CONNECTIONS false' "$url"
}

stop() {
    [ -f "$1/cluster" ] || return 0
    path=$(cat "$1/cluster")
    (cd / && as_server "$bin/pg_ctl" -D "$path/data" -m immediate -s stop) || true
    rm -rf "$path" "$1/cluster"
}

start() {
    dir=$1
    mkdir -p "$dir"
    stop "$dir"
    path=$(mktemp -d "${TMPDIR:-/tmp}/tiffin-pg.XXXXXX")
    printf '%s\n' "$path" > "$dir/cluster"
    trap 'stop "$dir"' EXIT
    init "$path"
    # pg_ctl waits on the server's PID file; the server itself must not keep our output open.
    as_server "$bin/pg_ctl" -D "$path/data" -l "$path/log" -w -s start > /dev/null || { cat "$path/log" >&2; return 1; }
    migrate "$(url_of "$path")"
    trap - EXIT
    printf 'TIFFIN_TEST_DATABASE_URL=%s\n' "$(url_of "$path")"
}

command=${1:-}
case $command in
start | stop | init | migrate)
    [ $# -eq 2 ] || { echo "usage: $0 $command DIR|URL" >&2; exit 2; }
    case $command in
    migrate) argument=$2 ;;
    *) argument=$(realpath -m -- "$2") ;;
    esac
    "$command" "$argument"
    ;;
*)
    sed -n '2,/^set /s/^# \{0,1\}//p' "$0" >&2
    exit 2
    ;;
esac
