#!/bin/bash
# local.sh - Tiffin on one Debian 12 machine: builds it, runs it, tests it. See usage() below, or `deploy/local.sh help`.
#
# Each concern is a file in deploy/lib: common (output, ports), packages, build, supervise (runit), postgres, redis, services
# (instances and their environment), stack (up, down, status, …), verify (invariants), test, chaos (the crash harness), bench,
# sdk (the PSPs' own libraries, another's mock of Stripe).
set -euo pipefail

ROOT=$(cd -- "$(dirname -- "$(realpath -- "${BASH_SOURCE[0]}")")/.." && pwd)
for part in common packages build supervise postgres redis services stack verify test chaos bench sdk; do
    # shellcheck source=/dev/null
    . "$ROOT/deploy/lib/$part.sh"
done

usage() {
    cat <<'END'
deploy/local.sh COMMAND

  up                     install, build and start everything in the background, then run the demo once
  demo                   one payment from order to confirmation, each step with its time
  test                   build with sanitizers and run every test; needs no `up`, leaves nothing running
  down                   stop everything; the data stays
  status                 who runs, since when, memory, addresses
  logs [SERVICE]         follow the logs (order, order-2, postgres, …)
  scale SERVICE=N …      that many instances: gateway order router webhook-processor reconciler notifier
  verify [--head HASH]   wait until the system is quiet, then check db/invariants.sql, the stream and the ledger's hash chain
  psql [ARGUMENT …]      the running database as an auditor: views audit_facts, audit_ledger, audit_outbox
  stop-store STORE       stop postgres or redis alone, to see what the rest does without it
  start-store STORE      start it again
  fuzz [SECONDS]         every fuzz target that long (default 60)
  chaos [--seed N] [--runs N] [--bug NAME]
                         the crash harness: nothing lost, nothing doubled, whatever dies (chaos --help)
  sdk                    the PSPs' own libraries against the simulator, our Stripe connector against another's mock
  bench [SUITE …]        the benchmark: ratios against baselines in the same run (bench --help)
  help                   this

Environment
  TIFFIN_HOME            where data, logs and sockets are (default .local)
  TIFFIN_PORT            HTTP on 127.0.0.1 (default 8080); the PSP simulator is on the next port
  TIFFIN_BIN             run these binaries instead of building
  any setting of deploy/.env.example reaches the services: RECONCILE_INTERVAL_S=2 deploy/local.sh up
END
}

main() {
    local command=${1:-help}
    [ $# -eq 0 ] || shift
    case $command in
    up | demo | test | down | status) [ $# -eq 0 ] || die "$command takes no arguments" ;;
    esac
    case $command in
    up) stack_up ;;
    demo) stack_demo ;;
    test) test_all ;;
    down) stack_down ;;
    status) stack_status ;;
    logs) stack_logs "$@" ;;
    scale) stack_scale "$@" ;;
    verify) verify_all "$@" ;;
    psql) postgres_psql "$@" ;;
    stop-store) store_stop "${1:-}" ;;
    start-store) store_start "${1:-}" ;;
    fuzz) test_fuzz_only "${1:-60}" ;;
    chaos) chaos_run "$@" ;;
    bench) bench_run "$@" ;;
    sdk) sdk_run "$@" ;;
    help | --help | -h) usage ;;
    *)
        usage >&2
        die "no such command: $command"
        ;;
    esac
}

main "$@"
