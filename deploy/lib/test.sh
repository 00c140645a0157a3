# test.sh - builds with sanitizers and runs everything there is to run, on servers of its own; leaves no process behind.
#
# Every stage runs in a process group of its own, its output in $LOG/test-<stage>.log. Passed and failed are counted over CTest
# entries, fuzz targets, end-to-end tests and the checks of deploy/local-test.sh, which include the invariants.

PASSED=0
FAILED=0
STAGE=               # process group of the stage that runs
FUZZ_SMOKE_S=4       # per target
CHAOS_RUNS=8
TEST_HOME=           # temporary: cluster, corpora, reports
JOBS=$(nproc)

# What has threads of its own is tested under ThreadSanitizer too.
THREADED='^test_(actor|auth|bus|bus_metrics|health_exchange|hub_thread|http_(client|server)|meter|metrics|psp_client|psp_sim_(bank|faults|refunds|webhook)|redis|resolver|router_calls|service|socket_registry|webhook_intake|websocket)$'

# ---- stages ----

# Under randomised addresses the sanitizers of GCC 12 do not start on kernels with many random bits.
NO_ASLR=()
no_aslr_probe() {
    ! setarch "$(uname -m)" -R true 2>/dev/null || NO_ASLR=(setarch "$(uname -m)" -R)
}

# A function of ours in a process group of its own, so that it can be ended with all that it started.
in_a_group() {
    local status=0
    set -m
    "$@" </dev/null &
    STAGE=$!
    set +m
    wait "$STAGE" || status=$?
    STAGE=
    return "$status"
}

# stage LOG COMMAND…: runs it to its end, showing now and then where it is. Returns its status.
stage() {
    local log=$LOG/$1 began now shown line status=0
    shift
    set -m
    "${NO_ASLR[@]}" "$@" >"$log" 2>&1 </dev/null 9>&- &
    STAGE=$!
    set +m
    now_ms began
    shown=$began
    while kill -0 "$STAGE" 2>/dev/null; do
        sleep 0.2
        now_ms now
        if [ $((now - shown)) -ge 15000 ]; then
            shown=$now
            line=$(tail -n 1 "$log" | tr -d '\r' | cut -c 1-100)
            say "    $(took "$began")  $line"
        fi
    done
    wait "$STAGE" || status=$?
    STAGE=
    return "$status"
}

test_count() {
    PASSED=$((PASSED + $1))
    FAILED=$((FAILED + $2))
}

stage_result() { # NAME PASSED FAILED START
    test_count "$2" "$3"
    step "$1: $2 passed, $3 failed in $(took "$4")"
}

# Nothing that a test started outlives the run, however it ends.
test_cleanup() {
    trap '' INT TERM HUP
    if [ -n "$STAGE" ]; then
        kill -TERM -- "-$STAGE" 2>/dev/null || true
        wait_until 20 stage_gone "$STAGE" || kill -KILL -- "-$STAGE" 2>/dev/null || true
    fi
    if [ -n "$TEST_HOME" ]; then
        "$ROOT/tests/support/pg-cluster.sh" stop "$TEST_HOME/pg" >/dev/null 2>&1 || true
        test_strays_end
        rm -rf "$TEST_HOME"
    fi
}

stage_gone() { ! kill -0 -- "-$1" 2>/dev/null; }

# Whoever has inherited our mark and is still there.
test_strays_end() {
    local file pid
    for file in $(grep -lz -- "^TIFFIN_TEST_RUN=$TEST_HOME\$" /proc/[0-9]*/environ 2>/dev/null || true); do
        pid=${file#/proc/}
        pid=${pid%/environ}
        [ "$pid" = "$$" ] || [ "$pid" = "$BASHPID" ] || kill -KILL "$pid" 2>/dev/null || true
    done
}

test_prepare() {
    mkdir -p "$LOG" "$RUN"
    exec 9>"$RUN/test.lock"
    flock -n 9 || die "another test run uses $TIFFIN_HOME"
    trap test_cleanup EXIT
    trap 'exit 130' INT
    trap 'exit 143' TERM HUP
    packages_ensure build run test
    TEST_HOME=$(mktemp -d "${TMPDIR:-/tmp}/tiffin-test-run.XXXXXX")
    export TIFFIN_TEST_RUN=$TEST_HOME
    no_aslr_probe
}

# ---- what is run ----

# Programs tests/*/test_*.c that THREADED selects.
threaded_programs() {
    local file
    for file in "$ROOT"/tests/unit/test_*.c "$ROOT"/tests/service/test_*.c; do
        file=$(basename "$file" .c)
        [[ ! $file =~ $THREADED ]] || printf '%s\n' "$file"
    done
}

test_builds() {
    local threaded
    mapfile -t threaded < <(threaded_programs)
    build dev build-dev || return 1
    build tsan build-tsan "${threaded[@]}" || return 1
    build fuzz build-fuzz || return 1
    build clang build-clang "${SERVICES[@]/#/tiffin-}" tiffin-tap tiffin-psp tiffin-psp-sim || return 1 # the other compiler's warnings
    build release build bench-micro || return 1
}

test_cluster() {
    local answer
    answer=$("$ROOT/tests/support/pg-cluster.sh" start "$TEST_HOME/pg" 9>&-) || die "PostgreSQL for the tests did not start"
    export "${answer?}"
}

# test_ctest NAME DIRECTORY [ARGUMENT…]
test_ctest() {
    local name=$1 directory=$ROOT/$2 log=test-$1.log start total failed
    shift 2
    now_ms start
    stage "$log" ctest --test-dir "$directory" -j"$JOBS" --output-on-failure --no-tests=error "$@" || true
    if [[ $(grep -E '^[0-9]+% tests passed' "$LOG/$log" || true) =~ ([0-9]+)\ tests\ failed\ out\ of\ ([0-9]+) ]]; then
        failed=${BASH_REMATCH[1]} total=${BASH_REMATCH[2]}
    else
        failed=1 total=1 # ctest itself failed
    fi
    if [ "$failed" -gt 0 ]; then
        ctest_failures "$LOG/$log"
    fi
    stage_result "$name" $((total - failed)) "$failed" "$start"
}

# The output of each test that failed, and their names.
ctest_failures() {
    awk '/^ *[0-9]+\/[0-9]+ Test +#/ { show = /\*\*\*/ } /^ *Start +[0-9]+: / { show = 0 }
         /^The following tests FAILED/ { show = 1 } show' "$1" | tail -n 150 >&2
}

fuzz_targets() {
    local file
    for file in "$ROOT"/tests/fuzz/fuzz_*.c; do
        basename "$file" .c
    done
}

# fuzz_run SECONDS CORPORA: each target that long, as many at once as there are processors. Prints "ok NAME" or "FAILED NAME".
fuzz_run() {
    local seconds=$1 corpora=$2
    export ROOT LOG
    # shellcheck disable=SC2016 # the other shell expands them
    fuzz_targets | xargs -P "$JOBS" -I TARGET bash -c '
        target=$1 seconds=$2 corpus=$3/$1
        mkdir -p "$corpus" "$LOG/fuzz"
        seeds=()
        [ ! -d "$ROOT/tests/fuzz/corpus/$target" ] || seeds=("$ROOT/tests/fuzz/corpus/$target")
        if "$ROOT/build-fuzz/bin/$target" -max_total_time="$seconds" -timeout=10 -rss_limit_mb=2048 -print_final_stats=1 \
            -artifact_prefix="$LOG/fuzz/$target-" "$corpus" "${seeds[@]}" >"$LOG/fuzz/$target.log" 2>&1; then
            printf "ok %s, %s runs\n" "$target" "$(sed -n "s/^stat::number_of_executed_units: *//p" "$LOG/fuzz/$target.log")"
        else
            printf "FAILED %s: see %s\n" "$target" "$LOG/fuzz/$target.log"
        fi' fuzz TARGET "$seconds" "$corpora"
}

# test_fuzz SECONDS CORPORA
test_fuzz() {
    local start log=$LOG/test-fuzz.log passed failed target
    now_ms start
    stage test-fuzz.log bash -euo pipefail -c "
        $(declare -p LOG ROOT JOBS); $(declare -f fuzz_targets fuzz_run); fuzz_run \"\$@\"" fuzz "$1" "$2" || true
    passed=$(grep -c '^ok ' "$log" || true)
    failed=$(($(fuzz_targets | wc -l) - passed))
    while read -r target; do
        say "$target:" >&2
        tail -n 40 "$LOG/fuzz/$target.log" >&2
    done < <(sed -n 's/^FAILED \([a-z_0-9]*\).*/\1/p' "$log")
    stage_result "fuzz, $1 s each" "$passed" "$failed" "$start"
}

# passed_and_failed LOG: of its last line, "N passed, N failed…"; 0 1 when that is not there.
passed_and_failed() {
    if [[ $(tail -n 1 "$1") =~ ^([0-9]+)\ passed,\ ([0-9]+)\ failed ]]; then
        printf '%s %s\n' "${BASH_REMATCH[1]}" "${BASH_REMATCH[2]}"
    else
        printf '0 1\n'
    fi
}

# Instructions of the code on the hot paths: no more than what is on record.
test_instructions() {
    local start log=$LOG/test-instructions.log passed failed
    now_ms start
    stage test-instructions.log "$PYTHON" "$ROOT/tests/bench/micro/check.py" "$ROOT/build/bin/bench-micro" || true
    read -r passed failed < <(passed_and_failed "$log")
    [ "$failed" -eq 0 ] || tail -n 60 "$log" >&2
    stage_result "instructions" "$passed" "$failed" "$start"
}

junit_attribute() { sed -n "s/.*<testsuite [^>]*\b$1=\"\([0-9]*\)\".*/\1/p" "$2" | head -n 1; }

# test_pytest NAME DIRECTORY [ARGUMENT…]
test_pytest() {
    local start name=$1 directory=$ROOT/$2 report=$TEST_HOME/$1.xml log=test-$1.log passed failed skipped status=0
    shift 2
    now_ms start
    stage "$log" "$PYTHON" -m pytest -c "$directory/pytest.ini" --rootdir "$directory" --junitxml="$report" "$@" "$directory" ||
        status=$?
    if [ -s "$report" ]; then
        failed=$(($(junit_attribute failures "$report") + $(junit_attribute errors "$report")))
        skipped=$(junit_attribute skipped "$report")
        passed=$(($(junit_attribute tests "$report") - failed - skipped))
        [ "$skipped" -eq 0 ] || say "    $skipped tests were skipped: see $LOG/$log"
    else
        passed=0 failed=1
    fi
    [ "$status" -eq 0 ] || [ "$failed" -gt 0 ] || failed=1
    [ "$failed" -eq 0 ] || tail -n 150 "$LOG/$log" >&2
    stage_result "$name" "$passed" "$failed" "$start"
}

# A short form of the crash harness, always the same seeds; each run counts as a test.
test_chaos() {
    local start passed failed
    now_ms start
    TIFFIN_BIN=$ROOT/build-dev/bin stage test-chaos.log "$PYTHON" "$ROOT/tests/chaos/run.py" --seed 1 --runs "$CHAOS_RUNS" \
        --keep "$LOG" || true
    passed=$(grep -cE '^ *[0-9]+( +[0-9]+){7}( +0){5} +[0-9.]+$' "$LOG/test-chaos.log" || true)
    failed=$((CHAOS_RUNS - passed))
    [ "$failed" -eq 0 ] || tail -n 60 "$LOG/test-chaos.log" >&2
    stage_result "chaos" "$passed" "$failed" "$start"
}

# local.sh itself: the stack is started, broken, scaled, verified and stopped with the sanitizers' binaries.
test_local() {
    local start passed failed
    now_ms start
    stage test-local.log "$ROOT/deploy/local-test.sh" "$ROOT/build-dev/bin" || true
    read -r passed failed < <(passed_and_failed "$LOG/test-local.log")
    [ "$failed" -eq 0 ] || tail -n 60 "$LOG/test-local.log" >&2
    stage_result "local.sh" "$passed" "$failed" "$start"
}

# ---- commands ----

test_all() {
    local start
    now_ms start
    test_prepare
    in_a_group test_builds || {
        say "0 passed, 1 failed"
        exit 1
    }
    test_cluster
    test_ctest unit-and-service build-dev
    # Debian's libraries are not instrumented: their locks count, what they do with memory is not judged. No sleep at each exit.
    TSAN_OPTIONS="halt_on_error=1 second_deadlock_stack=1 ignore_noninstrumented_modules=1 atexit_sleep_ms=0" \
        test_ctest threads build-tsan -R "${THREADED%\$}\\."
    test_instructions
    test_fuzz "$FUZZ_SMOKE_S" "$TEST_HOME/corpora"
    test_pytest property tests/property -n "$JOBS"
    # These wait more than they compute.
    TIFFIN_BIN=$ROOT/build-dev/bin test_pytest end-to-end tests/e2e -n "$((JOBS + 1))"
    test_chaos
    test_local
    step "all in $(took "$start"); logs in $LOG"
    say "$PASSED passed, $FAILED failed"
    [ "$FAILED" -eq 0 ] || exit 1
}

test_fuzz_only() {
    [[ $1 =~ ^[1-9][0-9]{0,5}$ ]] || die "fuzz for how many seconds? not '$1'"
    test_prepare
    in_a_group build fuzz build-fuzz || exit 1
    test_fuzz "$1" "$TIFFIN_HOME/fuzz"
    sed 's/^/    /' "$LOG/test-fuzz.log"
    say "$PASSED passed, $FAILED failed"
    [ "$FAILED" -eq 0 ] || exit 1
}
