#!/bin/bash
# local-test.sh [DIRECTORY] - is local.sh as good as its word? A stack of its own, in a directory that only its owner can enter, is
# started, killed, scaled, verified and stopped. DIRECTORY holds the binaries (default: local.sh builds them).
#
# One line per check; ends with `N passed, N failed`; exit 1 when any failed. Leaves nothing running.
set -euo pipefail

root=$(cd -- "$(dirname -- "$(realpath -- "${BASH_SOURCE[0]}")")/.." && pwd)
local_sh=$root/deploy/local.sh
[ $# -eq 0 ] || export TIFFIN_BIN=$1
TIFFIN_HOME=$(mktemp -d "${TMPDIR:-/tmp}/tiffin-local-test.XXXXXX")
export TIFFIN_HOME
sv=$TIFFIN_HOME/run/sv
passed=0
failed=0

cleanup() {
    trap '' INT TERM HUP
    "$local_sh" down >/dev/null 2>&1 || true
    rm -rf "$TIFFIN_HOME"
}
trap cleanup EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP

busy() { (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null; }

# check NAME COMMAND…: the command's output is shown when it fails.
check() {
    local name=$1 output status
    shift
    set +e # for the assignment; inside, the first command that fails ends it
    output=$(
        set -e
        "$@" 2>&1
    )
    status=$?
    set -e
    if [ "$status" -eq 0 ]; then
        passed=$((passed + 1))
        echo "ok      $name"
    else
        failed=$((failed + 1))
        echo "FAILED  $name"
        printf '%s\n' "$output" | tail -n 40 | sed 's/^/        /'
    fi
}

wait_for() { # SECONDS COMMAND…
    local end=$((SECONDS + $1 + 1))
    shift
    until "$@"; do
        [ "$SECONDS" -lt "$end" ] || return 1
        sleep 0.1
    done
}

pid_of() { cat "$sv/$1/supervise/pid" 2>/dev/null; }
lives() { local pid && pid=$(pid_of "$1") && [ -n "$pid" ] && kill -0 "$pid"; }
# One look: between two the old process, dead and not yet reaped, may give way to none.
has_new_pid() {
    local pid
    pid=$(pid_of "$1") && [ -n "$pid" ] && [ "$pid" != "$2" ] && kill -0 "$pid"
}
ready() { [ "$(curl -s -o /dev/null -m 3 -w '%{http_code}' "http://127.0.0.1:$1/readyz")" = "$2" ]; }
instances() { find "$sv" -mindepth 1 -maxdepth 1 -printf '%f\n' | sort; }
processes() { find /proc -mindepth 2 -maxdepth 2 -name cwd -lname "$TIFFIN_HOME*" 2>/dev/null || true; }

# ---- checks ----

starts_and_pays() {
    RECONCILE_INTERVAL_S=7 "$local_sh" up | tee "$TIFFIN_HOME/up.log"
    grep -q '^demo: done' "$TIFFIN_HOME/up.log"
}
second_up_does_nothing() { "$local_sh" up | tee /dev/stderr | grep -q 'already running, nothing to do'; }
setting_reaches_services() { tr '\0' '\n' <"/proc/$(pid_of reconciler-1)/environ" | grep -x RECONCILE_INTERVAL_S=7; }

comes_back() {
    local before
    before=$(pid_of "$1")
    kill -KILL "$before"
    wait_for 3 has_new_pid "$1" "$before"
}
killed_again_and_again_comes_back() {
    local _
    for _ in 1 2 3 4; do
        comes_back "$1"
    done
}
store_can_be_away() {
    "$local_sh" stop-store "$1"
    wait_for 10 ready "$TIFFIN_PORT" 503
    "$local_sh" start-store "$1"
    wait_for 20 ready "$TIFFIN_PORT" 200
}
scales_up() {
    "$local_sh" scale order=3 router=2 webhook-processor=2 notifier=2 gateway=2
    [ "$(wc -l <"$TIFFIN_HOME/run/hubs")" -eq 2 ]
    [ "$(wc -l <"$TIFFIN_HOME/run/taps")" -eq 2 ]
    "$root/deploy/demo.py" "$(sed -n 2p "$TIFFIN_HOME/run/gateways")" "http://127.0.0.1:$((TIFFIN_PORT + 1))"
}
scales_down() {
    "$local_sh" scale order=1 router=1 webhook-processor=1 notifier=1 gateway=1
    [ "$(instances | wc -l)" -eq 9 ]
    [ "$(wc -l <"$TIFFIN_HOME/run/hubs")" -eq 1 ]
}
up_brings_back_what_is_missing() {
    local supervisor
    supervisor=$(awk '/^PPid:/ { print $2 }' "/proc/$(pid_of notifier-1)/status")
    kill -KILL "$supervisor" "$(pid_of notifier-1)"
    wait_for 5 not_ready_without_notifier
    "$local_sh" up
    lives notifier-1
}
not_ready_without_notifier() { ready "$TIFFIN_PORT" 503; }
refuses() {
    local answer
    answer=$("$local_sh" psql -XAtc "$1" 2>&1) && return 1
    [[ $answer == *"permission denied"* ]]
}
auditor_reads_and_cannot_write() {
    [ "$("$local_sh" psql -XAtc "SELECT count(*) >= 2 FROM audit_facts WHERE kind = 'captured'")" = t ]
    refuses 'DELETE FROM facts'
    refuses 'SELECT * FROM orders'
}
status_names_everything() {
    local name
    "$local_sh" status >"$TIFFIN_HOME/status"
    cat "$TIFFIN_HOME/status"
    for name in $(instances) total; do
        grep -q "^$name  *.* MB" "$TIFFIN_HOME/status"
    done
}
no_sanitizer_report() {
    if grep -E -A 20 'ERROR: (Address|Leak)Sanitizer|runtime error:|CHECK failed' "$TIFFIN_HOME"/log/*.log; then
        return 1
    fi
}
stops_and_leaves_nothing() {
    "$local_sh" down
    [ -z "$(processes)" ]
    if busy "$TIFFIN_PORT" || busy $((TIFFIN_PORT + 1)); then
        return 1
    fi
}
starts_again_with_its_data() {
    local facts
    "$local_sh" up
    facts=$("$local_sh" psql -XAtc 'SELECT count(*) FROM audit_facts')
    [ "$facts" -ge 3 ]
}
verify_holds() {
    local line
    while read -r line; do
        case $line in
        ok\ * | BROKEN\ *) check "invariant: ${line#* }" [ "${line%% *}" = ok ] ;;
        *) echo "        $line" ;;
        esac
    done < <("$local_sh" verify 2>&1)
}

superuser() { psql -XqAt -v ON_ERROR_STOP=1 "postgresql://postgres@127.0.0.1:$(sed -n 's/^postgres=//p' "$TIFFIN_HOME/run/ports.env")/tiffin" "$@"; }
# tamper STATEMENT: as somebody who owns the database and silences its triggers.
tamper() { superuser -c 'SET session_replication_role = replica' -c "$1"; }
verify_finds_what_was_tampered_with() {
    local head
    head=$("$local_sh" verify | sed -n 's/^ledger head: //p')
    # Both sides by one, so that debits still equal credits.
    tamper 'UPDATE ledger_entries SET amount = amount + sign(amount) WHERE txn_id = 1'
    fails verify >"$TIFFIN_HOME/verify.log"
    grep 'transaction 1 (position 1) is not what was sealed' "$TIFFIN_HOME/verify.log"
    tamper 'UPDATE ledger_entries SET amount = amount - sign(amount) WHERE txn_id = 1'
    "$local_sh" verify --head "$head"
    fails verify --head ''
}
verify_proves_that_nothing_changed_since_a_head() {
    local head
    head=$("$local_sh" verify | sed -n 's/^ledger head: //p')
    [[ $head =~ ^[0-9a-f]{64}$ ]]
    "$local_sh" demo
    "$local_sh" verify --head "$head" | tee "$TIFFIN_HOME/verify.log"
    [ "$(sed -n 's/^ledger head: //p' "$TIFFIN_HOME/verify.log")" != "$head" ] # the chain has grown, and still holds the old head
    fails verify --head "$(printf '0%.0s' {1..64})" >"$TIFFIN_HOME/verify.log"
    grep -q 'is not in the chain' "$TIFFIN_HOME/verify.log"
}
fails() {
    if "$local_sh" "$@"; then
        return 1
    fi
}
changed_migration_is_refused() {
    local -x MIGRATIONS_DIR=$TIFFIN_HOME/changed DATABASE_URL
    DATABASE_URL=postgresql://postgres@127.0.0.1:$(sed -n 's/^postgres=//p' "$TIFFIN_HOME/run/ports.env")/tiffin
    cp -r "$root/db" "$MIGRATIONS_DIR"
    "$root/deploy/migrate.sh"
    echo '-- another version' >>"$MIGRATIONS_DIR/003_ledger.sql"
    if "$root/deploy/migrate.sh" >"$TIFFIN_HOME/migrate.log" 2>&1; then
        return 1
    fi
    grep 'differs from the files: 003_ledger$' "$TIFFIN_HOME/migrate.log"
}

TIFFIN_PORT=20000
while busy "$TIFFIN_PORT" || busy $((TIFFIN_PORT + 1)); do
    TIFFIN_PORT=$((20000 + RANDOM % 10000))
done
export TIFFIN_PORT

check "up starts everything and the demo pays" starts_and_pays
check "a second up does nothing" second_up_does_nothing
check "a setting of the caller reaches the services" setting_reaches_services
for name in gateway-1 order-1 router-1 webhook-processor-1 reconciler-1 notifier-1 psp-sim-1 redis postgres; do
    check "$name comes back when killed" comes_back "$name"
done
check "order-1 comes back however often it is killed" killed_again_and_again_comes_back order-1
check "everything is ready again" wait_for 20 ready "$TIFFIN_PORT" 200
for store in redis postgres; do
    check "$store can be stopped and started" store_can_be_away "$store"
done
check "scale starts more of each, and the second gateway serves" scales_up
check "scale drains what is too many" scales_down
check "up brings back what is missing" up_brings_back_what_is_missing
check "the demo passes again" "$local_sh" demo
check "an auditor reads the views and cannot write" auditor_reads_and_cannot_write
check "status names every instance with its memory" status_names_everything
verify_holds
check "verify --head proves that nothing changed since, and finds a head that never was" verify_proves_that_nothing_changed_since_a_head
check "verify finds a row that was tampered with" verify_finds_what_was_tampered_with
check "migrate.sh refuses a migration that was changed after it was applied" changed_migration_is_refused
check "down stops everything and leaves nothing" stops_and_leaves_nothing
check "up after down has the data" starts_again_with_its_data
check "no sanitizer has reported anything" no_sanitizer_report

echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]
