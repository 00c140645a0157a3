# bench.sh - the benchmark: tests/bench/run.py on release binaries, with servers of its own.

bench_run() {
    local status=0
    case " $* " in *" -h "* | *" --help "*) exec "$PYTHON" "$ROOT/tests/bench/run.py" --help ;; esac
    test_prepare
    { command -v node && command -v npm; } >/dev/null || packages_ensure bench # any Node from 18 on will do
    bench_peer_install
    build_release
    in_a_group build release build bench || exit 1
    TIFFIN_BIN=$BIN TIFFIN_BENCH_BIN=$ROOT/build/bin "$PYTHON" "$ROOT/tests/bench/run.py" --home "$TIFFIN_HOME" "$@" || status=$?
    exit "$status"
}

# The libraries of the Node peer, as its lock file says.
bench_peer_install() {
    local peer=$ROOT/tests/bench/peer start
    if [ "$peer/package-lock.json" -nt "$peer/node_modules/.package-lock.json" ]; then
        now_ms start
        with_progress "$LOG/peer.log" npm --prefix "$peer" ci --omit=dev --no-audit --no-fund ||
            die "npm could not install the peer's libraries: see $LOG/peer.log"
        step "installed the peer's libraries in $(took "$start")"
    fi
}
