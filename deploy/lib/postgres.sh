# postgres.sh - a private PostgreSQL on 127.0.0.1, durable, with its data in $TIFFIN_HOME/postgres.
#
# It trusts whoever can connect from this machine: this is for development. PostgreSQL refuses to run as root; for root it runs as
# the user postgres, who may not be able to walk to the data (a clone in /root, or below a private temporary directory). Then it
# keeps one capability for that: CAP_DAC_READ_SEARCH, or CAP_DAC_OVERRIDE where a container has only that.

PG_BIN=/usr/lib/postgresql/15/bin
PG_DATA=$TIFFIN_HOME/postgres
DATABASE=tiffin
PG_AS=() # words before a command that make it run as the server's user

pg_as_probe() {
    local capability prefix
    PG_AS=()
    [ "$(id -u)" -eq 0 ] || return 0
    mkdir -p "$RUN"
    for capability in none dac_read_search dac_override; do
        prefix=(setpriv --reuid=postgres --regid=postgres --clear-groups)
        [ "$capability" = none ] || prefix+=("--inh-caps=+$capability" "--ambient-caps=+$capability")
        # Entering is the test: access(2), which `test -x` asks, knows nothing of capabilities.
        # shellcheck disable=SC2016 # the inner shell expands them
        if (cd / && "${prefix[@]}" sh -c 'cd "$1" && cd "$2"' sh "$TIFFIN_HOME" "$ROOT") 2>/dev/null; then
            PG_AS=("${prefix[@]}")
            return 0
        fi
    done
    die "the user postgres cannot reach $TIFFIN_HOME; set TIFFIN_HOME to a directory that everybody may enter, e.g. /var/lib/tiffin"
}

postgres_init() {
    local new=$PG_DATA.new
    [ ! -f "$PG_DATA/PG_VERSION" ] || return 0
    step "making a PostgreSQL cluster in $PG_DATA"
    rm -rf "$new" # of an initdb that was interrupted
    mkdir -m 700 "$new"
    [ "$(id -u)" -ne 0 ] || chown postgres:postgres "$new"
    if ! (cd / && "${PG_AS[@]}" "$PG_BIN/initdb" -D "$new" -U postgres -A trust -E UTF8 --locale=C.UTF-8 --no-instructions) \
        >>"$LOG/postgres.log" 2>&1; then
        tail -n 20 "$LOG/postgres.log" >&2
        die "initdb failed: see $LOG/postgres.log"
    fi
    mv "$new" "$PG_DATA"
}

# postgres_settings: the lines of deploy/postgresql.conf as arguments, one per line. The server's user may not be able to read the file.
postgres_settings() {
    sed -n 's/[[:space:]]*#.*//; s/^\([a-z_]*\) *= *\(.*[^ ]\) *$/-c\n\1=\2/p' "$ROOT/deploy/postgresql.conf"
}

postgres_write() {
    local settings
    mapfile -t settings < <(postgres_settings)
    instance_write postgres PATH="$PATH" LANG=C.UTF-8 TZ=UTC "${PG_AS[@]}" "$PG_BIN/postgres" -D "$PG_DATA" \
        -p "${PORTS[postgres]}" -c listen_addresses=127.0.0.1 -c unix_socket_directories= \
        -c wal_level=minimal -c max_wal_senders=0 "${settings[@]}"
    # SIGTERM lets clients finish, for ever; SIGINT ends their sessions and shuts down cleanly.
    mkdir -p "$SV/postgres/control"
    # shellcheck disable=SC2016 # the script expands it
    printf '#!/bin/sh\nread -r pid <supervise/pid && kill -INT "$pid"\n' >"$SV/postgres/control/t"
    chmod 755 "$SV/postgres/control/t"
}

postgres_start() {
    if ! instance_supervised postgres; then
        pg_as_probe
        postgres_init
        strays_end "$PG_DATA"
        port_choose postgres
        postgres_write
    fi
    instance_start postgres
}

postgres_answers() { "$PG_BIN/pg_isready" -q -h 127.0.0.1 -p "${PORTS[postgres]}"; }

# postgres_url ROLE
postgres_url() { printf 'postgresql://%s@127.0.0.1:%s/%s' "$1" "${PORTS[postgres]}" "$DATABASE"; }

postgres_migrate() {
    local maintenance="postgresql://postgres@127.0.0.1:${PORTS[postgres]}/postgres"
    if [ -z "$("$PG_BIN/psql" -XAtc "SELECT 1 FROM pg_database WHERE datname = '$DATABASE'" "$maintenance")" ]; then
        "$PG_BIN/psql" -Xqc "CREATE DATABASE $DATABASE" "$maintenance"
    fi
    DATABASE_URL=$(postgres_url postgres) PATH=$PG_BIN:$PATH "$ROOT/deploy/migrate.sh"
}

postgres_psql() {
    ports_load
    [ "$(instance_state postgres)" = run ] || die "PostgreSQL does not run: deploy/local.sh up"
    exec "$PG_BIN/psql" "$(postgres_url tiffin_audit)" "$@"
}
