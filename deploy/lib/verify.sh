# verify.sh - is everything as it must be? Waits until nothing is on its way, then runs db/invariants.sql and looks at the stream.

QUIET_S=30
STREAM=stream:webhooks
GROUP=webhook-processor

verify_sql() { "$PG_BIN/psql" -X -v ON_ERROR_STOP=1 "$@" "$(postgres_url postgres)"; }

# What is still on its way, in words; nothing when quiet.
verify_busy() {
    local entries parked attempts
    entries=$(verify_stream_open)
    [ "$entries" = 0 ] || say "$entries webhooks in the stream"
    read -r parked attempts < <(verify_sql -At -F ' ' -c "
        SELECT (SELECT count(*) FROM inbox WHERE outcome = 'parked' AND retry_at <= now()),
               (SELECT count(*) FROM attempts WHERE outcome IS NULL AND started_at > now() - interval '20 seconds')" 2>/dev/null ||
        echo "? ?")
    [ "$parked" = 0 ] || say "$parked parked webhooks that are due"
    [ "$attempts" = 0 ] || say "$attempts calls to PSPs"
}

# Entries that the group has not acknowledged: delivered ones and those behind its last delivery. No group yet: all entries.
verify_stream_open() {
    local pending next
    if ! pending=$(redis_cli -e XPENDING "$STREAM" "$GROUP" 2>/dev/null | head -n 1); then
        redis_cli -e XLEN "$STREAM" 2>/dev/null || echo '?'
        return
    fi
    next=$(redis_cli XINFO GROUPS "$STREAM" | grep -A 30 -x "$GROUP" | grep -A 1 -x last-delivered-id | sed -n 2p)
    printf '%s' $((pending + $(redis_cli --raw XRANGE "$STREAM" "($next" + COUNT 10000 | grep -cE '^[0-9]+-[0-9]+$' || true)))
}

verify_quiet() { [ -z "$(verify_busy)" ]; }

# Statements of db/invariants.sql, NUL separated: name, newline, SQL.
verify_statements() {
    awk '/^-- invariant: / { if (name) printf "%s\n%s%c", name, sql, 0; name = substr($0, 15); sql = ""; next }
         /^--/ { next }
         { sql = sql $0 "\n" }
         END { if (name) printf "%s\n%s%c", name, sql, 0 }' "$ROOT/db/invariants.sql"
}

# One line, and what is wrong below it.
verify_report() {
    local name=$1 problem=$2
    if [ -z "$problem" ]; then
        say "ok      $name"
    else
        say "BROKEN  $name"
        printf '%s\n' "$problem" | sed 's/^/        /' | sed -n 1,25p
        VERIFY_BROKEN=$((VERIFY_BROKEN + 1))
    fi
}

verify_all() {
    local statement name rows count=0
    VERIFY_BROKEN=0
    must_run
    wait_until "$QUIET_S" verify_quiet || true
    verify_report "quiet within $QUIET_S s" "$(verify_busy)"
    while IFS= read -r -d '' statement; do
        name=${statement%%$'\n'*}
        if ! rows=$(verify_sql -c "${statement#*$'\n'}" 2>&1); then
            verify_report "$name" "$rows"
        else
            verify_report "$name" "$(grep -qx '(0 rows)' <<<"$rows" || printf '%s' "$rows")"
        fi
        count=$((count + 1))
    done < <(verify_statements)
    [ "$count" -gt 0 ] || verify_report "db/invariants.sql has invariants" "found none"
    rows=$(verify_stream_open)
    verify_report "no entry of $STREAM is unacknowledged" "$([ "$rows" = 0 ] || echo "$rows entries")"
    say "$((count + 2 - VERIFY_BROKEN)) ok, $VERIFY_BROKEN broken"
    [ "$VERIFY_BROKEN" -eq 0 ]
}
