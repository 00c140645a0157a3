# chaos.sh - the crash harness: tests/chaos/run.py on release binaries, with servers of its own.

chaos_usage() {
    cat <<'END'
deploy/local.sh chaos [--seed N] [--runs N] [--bug dedupe-first|ack-first|assign-status] [--workers N]

Each run starts a whole Tiffin, has clients use it while everything is killed, stopped and restarted as its seed says, mends it, and
checks that every answered request took effect once, that the bank's book agrees with the ledger, every invariant, every event.
Exit status 0 only if nothing was lost, doubled, broken, different or missing.

  --seed N     the first run's seed, the others follow (default 1); a seed repeats a run's plan
  --runs N     how many (default 20)
  --bug NAME   build that mistake in first: the harness must find it and exit 1
  --workers N  runs side by side (default: one per processor)
END
}

# The value of --bug among the arguments; the harness checks all the others.
chaos_bug() {
    while [ $# -gt 0 ]; do
        case $1 in
        --bug) printf '%s' "${2:-}" ;;
        --bug=*) printf '%s' "${1#--bug=}" ;;
        esac
        shift
    done
}

chaos_run() {
    local bug binaries status=0
    case ${1:-} in -h | --help | help) chaos_usage && return ;; esac
    bug=$(chaos_bug "$@")
    test_prepare
    case $bug in
    '' | assign-status) # the latter is a mistake in the database
        build_release
        binaries=$BIN
        ;;
    dedupe-first | ack-first)
        BUILD_BUG=$bug in_a_group build release "build-bug-$bug" || exit 1
        binaries=$ROOT/build-bug-$bug/bin
        ;;
    *) die "no such bug: $bug" ;;
    esac
    mkdir -p "$TIFFIN_HOME/chaos"
    TIFFIN_BIN=$binaries "$PYTHON" "$ROOT/tests/chaos/run.py" --keep "$TIFFIN_HOME/chaos" "$@" || status=$?
    exit "$status"
}
