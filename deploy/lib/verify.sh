# verify.sh - is everything as it must be? Waits until nothing is on its way, then runs db/invariants.sql, looks at the stream, and
# checks the ledger's hash chain.

QUIET_S=30
STREAM=stream:webhooks
GROUP=webhook-processor

verify_sql() { "$PG_BIN/psql" -X -v ON_ERROR_STOP=1 "$@" "$(postgres_url postgres)"; }

# What is still on its way, in words; nothing when quiet.
verify_busy() {
    local entries parked dead attempts refunds
    entries=$(verify_stream_open)
    [ "$entries" = 0 ] || say "$entries webhooks in the stream"
    read -r parked dead attempts refunds < <(verify_sql -At -F ' ' -c "
        SELECT (SELECT count(*) FROM inbox WHERE outcome = 'parked' AND retry_at <= now()),
               (SELECT count(*) FROM inbox WHERE outcome = 'dead' AND dead_copied_at IS NULL),
               (SELECT count(*) FROM attempts WHERE outcome IS NULL AND started_at > now() - interval '20 seconds'),
               (SELECT count(*) FROM refunds WHERE next_call_at <= now())" 2>/dev/null ||
        echo "? ? ? ?")
    [ "$parked" = 0 ] || say "$parked parked webhooks that are due"
    [ "$dead" = 0 ] || say "$dead dead letters without a copy in their stream"
    [ "$attempts" = 0 ] || say "$attempts calls to PSPs"
    [ "$refunds" = 0 ] || say "$refunds refunds that are due"
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

# Seals what has been booked, then reads the whole chain again. What is wrong, a line each.
verify_chain() {
    local sealed head=$1
    while :; do
        sealed=$(verify_sql -At -c 'SELECT ledger_seal(10000)') || return
        [ "$sealed" -gt 0 ] || break
    done
    verify_sql -At -v head="$head" -f - <<<"SELECT fault FROM ledger_chain_faults(nullif(:'head', ''))"
}

verify_usage() {
    cat <<'END'
deploy/local.sh verify [--head HASH]

Waits until nothing is on its way (30 s at most), then checks db/invariants.sql, the stream and the ledger's hash chain, and prints the
chain's head. Keep a head elsewhere: with --head HASH it is proven later that nothing that was booked before it has been changed.
Exit status 1 when anything is broken.
END
}

verify_all() {
    local statement name rows head='' count=0
    case ${1:-} in
    -h | --help) verify_usage && return ;;
    --head)
        head=${2:-none}
        shift $(($# < 2 ? 1 : 2))
        ;;
    --head=*)
        head=${1#--head=}
        head=${head:-none}
        shift
        ;;
    esac
    [ $# -eq 0 ] || die "verify takes --head HASH and nothing else"
    # An empty HASH is a script's mistake: it must not pass as proven.
    [[ -z $head || $head =~ ^[0-9a-fA-F]{64}$ ]] || die "--head: a head of the ledger has 64 hexadecimal digits"
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
    rows=$(verify_chain "$head" 2>&1) || true
    verify_report "the ledger's hash chain holds${head:+, and nothing before $head has changed}" "$rows"
    say "ledger head: $(verify_sql -At -c "SELECT coalesce(ledger_head(), 'nothing is booked yet')")"
    say "$((count + 3 - VERIFY_BROKEN)) ok, $VERIFY_BROKEN broken"
    [ "$VERIFY_BROKEN" -eq 0 ]
}
