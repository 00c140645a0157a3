# sdk.sh - the PSPs' own libraries, as they are published, against the simulator, and our Stripe connector against another's mock:
# tests/sdk.

sdk_run() {
    local port status=0 sdk=$ROOT/tests/sdk log=$LOG/sdk.log start
    [ $# -eq 0 ] || die "sdk takes no arguments"
    test_prepare
    { command -v node && command -v npm; } >/dev/null || packages_ensure bench # any Node from 18 on will do
    in_a_group build dev build-dev tiffin-psp-sim sdk_stripe_errors || exit 1
    if [ "$sdk/package-lock.json" -nt "$sdk/node_modules/.package-lock.json" ]; then
        now_ms start
        with_progress "$log" npm --prefix "$sdk" ci --no-audit --no-fund || die "npm could not install the libraries: see $log"
        step "installed the libraries in $(took "$start")"
    fi
    port=$("$PYTHON" -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
    (cd "$sdk" && SIMULATOR=$ROOT/build-dev/bin/tiffin-psp-sim SIMULATOR_PORT=$port \
        exec node --require ./to-simulator.cjs contract.mjs) || status=$?
    (cd "$sdk" && STRIPE_ERRORS=$ROOT/build-dev/bin/sdk_stripe_errors exec node stripe-mock.mjs) || status=$?
    exit "$status"
}
