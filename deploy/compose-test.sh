#!/bin/bash
# compose-test.sh - builds deploy/compose.yaml, runs it in a project of its own on free ports, and holds it to what it promises.
# Needs an engine with compose v2 (DOCKER_HOST or the default one), curl and python3. Leaves nothing but the images.
#
#   PULL=never|missing|always    where images come from (missing)
#   KEEP_LOGS=FILE               writes the containers' logs there before they are gone
#
# Ends with a line `N passed, N failed`; exit status 0 when none failed.
set -uo pipefail

DEPLOY=$(cd -- "$(dirname -- "$(realpath -- "${BASH_SOURCE[0]}")")" && pwd)
PROJECT=tiffin-test-$$
WORK=$(mktemp -d)
PROCESSES=(gateway order router webhook-processor reconciler notifier psp-sim)
ROUNDS_MAX=40   # of payments, until every replica has served
ROUND=6         # payments at once
DEADLINE_S=90   # for anything that is waited for
WAIT_S=180      # for the whole to be healthy; bounded, as a process that refuses its settings is started again for ever
passed=0
failed=0

export TIFFIN_SECRETS=$WORK/secrets
export RECONCILE_INTERVAL_S=${RECONCILE_INTERVAL_S:-5}

compose() { docker compose -p "$PROJECT" -f "$DEPLOY/compose.yaml" --profile dev "$@"; }

# ---- reporting ----

# check TEXT COMMAND…: one test, in a process of its own. The command's output is shown as it comes, indented.
check() {
    local text=$1 start=${EPOCHREALTIME/[.,]/} took
    shift
    if "$@" 2>&1 | sed 's/^/      /'; then
        passed=$((passed + 1))
        text="ok    $text"
    else
        failed=$((failed + 1))
        text="FAIL  $text"
    fi
    took=$(((${EPOCHREALTIME/[.,]/} - start) / 1000))
    printf '%s (%d.%d s)\n' "$text" $((took / 1000)) $((took % 1000 / 100))
    [[ $text == ok* ]]
}

finish() {
    trap - EXIT INT TERM
    if [ "$failed" -gt 0 ] && [ -z "${KEEP_LOGS:-}" ]; then
        compose ps --all
        compose logs --no-color --tail 30
    fi >&2
    [ -z "${KEEP_LOGS:-}" ] || compose logs --no-color >"$KEEP_LOGS" 2>&1
    compose down --volumes --remove-orphans --timeout 5 >/dev/null 2>&1
    rm -rf "$WORK"
    printf '%d passed, %d failed\n' "$passed" "$failed"
    [ "$failed" -eq 0 ] && [ "$passed" -gt 0 ]
    exit
}

interrupted() {
    failed=$((failed + 1))
    finish
}

# wait_until COMMAND…: until it succeeds or DEADLINE_S have passed.
wait_until() {
    local end=$((SECONDS + DEADLINE_S))
    until "$@"; do
        [ "$SECONDS" -lt "$end" ] || return 1
        sleep 0.2
    done
}

secrets_stay() {
    local before
    before=$(cat "$TIFFIN_SECRETS"/*)
    "$DEPLOY/secrets.sh" >/dev/null && [ "$before" = "$(cat "$TIFFIN_SECRETS"/*)" ]
}

# ---- containers ----

ids() { compose ps --all --quiet --no-trunc "$@"; }
inspect() { docker inspect --format "$@"; }

# inspect_all FORMAT [SERVICE…]: a line for each container; fails when there is none.
inspect_all() { ids "${@:2}" | xargs docker inspect --format "$1"; }

quietly() {
    "$@" >"$WORK/out" 2>&1 && return
    tail -n 40 "$WORK/out"
    return 1
}

# except PATTERN: no line but those; others are shown.
except() { ! grep -vE -- "$1"; }

all_healthy() {
    inspect_all '{{.Name}} {{.State.Status}} {{.State.ExitCode}} {{with .State.Health}}{{.Status}}{{end}}' |
        except ' running 0 healthy$|-migrate-[0-9]+ exited 0 $'
}

hardened() {
    local service id
    inspect_all '{{.Name}} {{.HostConfig.ReadonlyRootfs}} {{.HostConfig.CapDrop}} {{.HostConfig.SecurityOpt}} {{gt .HostConfig.Memory 0}} {{.HostConfig.PidsLimit}}' |
        except ' true \[ALL\] \[no-new-privileges:true\] true [0-9]+$' || return 1
    for service in "${PROCESSES[@]}"; do
        id=$(ids "$service")
        docker exec "$id" bash -c '[ "$(id -u)" = 10001 ] && ! touch /usr/x 2>/dev/null && grep -qE "^CapBnd:[[:space:]]*0+$" /proc/self/status' || {
            echo "$service is not"
            return 1
        }
    done
}

published_on_loopback() {
    docker ps --filter "label=com.docker.compose.project=$PROJECT" --format '{{.Ports}}' | tr ',' '\n' | { grep -e '->' || echo "no port at all"; } |
        except '^ *127\.0\.0\.1:'
}

# The simulator stands for the world outside: it must not find the stores.
stores_hidden() {
    local id
    id=$(ids psp-sim)
    docker exec "$id" getent hosts gateway >/dev/null && ! docker exec "$id" getent hosts postgres redis
}

memory() { ids "${PROCESSES[@]}" postgres redis | xargs docker stats --no-stream --format '{{.MemUsage}}, {{.PIDs}} threads: {{.Name}}'; }

# Two at once: one waits for the other, and neither finds anything to do.
migrate_twice() {
    local first second status=0
    compose run --rm --no-deps migrate >"$WORK/migrate-1" 2>&1 &
    first=$!
    compose run --rm --no-deps migrate >"$WORK/migrate-2" 2>&1 &
    second=$!
    wait "$first" || status=1
    wait "$second" || status=1
    ! grep -q '^applied' "$WORK"/migrate-[12] || status=1
    [ "$status" -eq 0 ] || cat "$WORK"/migrate-[12]
    return "$status"
}

# ---- payments ----

API=
SIM=

call() { curl -sS --max-time 15 -H 'Content-Type: application/json' "$@"; }
field() { grep -oE "\"$1\": ?\"[^\"]*\"" | head -n 1 | cut -d '"' -f 4; }

# One payment, paid at the simulator; its order's id goes to the file named.
pay_once() {
    local order payment
    order=$(call "$API/orders" -d '{"user_id":"compose","amount":45000,"currency":"INR"}' | field order_id)
    [ -n "$order" ] || return 1
    payment=$(call "$API/payments/initiate" -d "{\"order_id\":\"$order\",\"payment_method\":\"UPI\"}" | field payment_id)
    [ -n "$payment" ] || return 1
    call --fail -o /dev/null -X POST "$SIM/_sim/payments/$payment/pay" || return 1
    printf '%s\n' "$order" >>"$1"
}

is_paid() { [ "$(call "$API/orders/$1" | field status)" = PAID ]; }

all_paid() {
    local order
    while read -r order; do
        wait_until is_paid "$order" || { echo "order $order is not PAID"; return 1; }
    done <"$1"
    echo "$(wc -l <"$1") orders are PAID"
}

demo() { python3 "$DEPLOY/demo.py" "$API" "$SIM"; }

# Has the instance in this container answered something, or sent an event? served SERVICE CONTAINER METRICS
served() { grep -qE "^tiffin_requests_total\{service=\"$1\",instance=\"$1-${2:0:12}-[^}]*outcome=\"(ok|event)\"\} [1-9]" <<<"$3"; }

every_replica_served() {
    local service id metrics
    metrics=$(call "$API/metrics")
    for service in order router webhook-processor; do
        for id in $(ids "$service"); do
            served "$service" "$id" "$metrics" || { echo "$service ${id:0:12} has not served"; return 1; }
        done
    done
}

load_until_all_served() {
    local round job jobs
    for ((round = 1; round <= ROUNDS_MAX; round++)); do
        jobs=()
        for ((job = 0; job < ROUND; job++)); do
            pay_once "$WORK/orders" &
            jobs+=($!)
        done
        for job in "${jobs[@]}"; do
            wait "$job" || { echo "a payment failed"; return 1; }
        done
        if every_replica_served >/dev/null; then
            echo "after $((round * ROUND)) payments"
            call "$API/metrics" | sed -nE 's/^tiffin_requests_total\{service="(order|router|webhook-processor)",instance="([^"]*)",message="([^"]*)",outcome="(ok|event)"\} /\2 \3 /p'
            return 0
        fi
    done
    every_replica_served
}

# ---- failures ----

# The container's first process. From here if it is a process of this machine and ours to kill, else from inside.
kill_main() {
    local pid
    pid=$(inspect '{{.State.Pid}}' "$1")
    if ! { grep -qs "$1" "/proc/$pid/cgroup" && kill -9 "$pid" 2>/dev/null; }; then
        docker exec "$1" bash -c 'kill -9 -1' || true
    fi
}

restarted_and_healthy() {
    [ "$(inspect '{{gt .RestartCount '"$2"'}} {{.State.Health.Status}}' "$1")" = "true healthy" ]
}

survives_kill() {
    local id restarts
    id=$(ids "$1" | head -n 1)
    restarts=$(inspect '{{.RestartCount}}' "$id")
    kill_main "$id"
    wait_until restarted_and_healthy "$id" "$restarts" && wait_until all_healthy >/dev/null
}

stops_cleanly() {
    quietly compose stop "${PROCESSES[@]}" && inspect_all '{{.Name}} ended with {{.State.ExitCode}}' "${PROCESSES[@]}" | except ' 0$'
}

leaves_nothing() {
    local ours=(--quiet --filter "label=com.docker.compose.project=$PROJECT")
    quietly compose down --volumes || return 1
    { docker container ls --all "${ours[@]}" && docker volume ls "${ours[@]}" && docker network ls "${ours[@]}"; } | except '^$'
}

# ---- the run ----

# Below the ports that kernels hand out themselves, so that nobody takes it before its container does.
free_port() {
    local port
    while port=$((10000 + RANDOM % 22000)); do
        (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null || break
    done
    printf '%d' "$port"
}

main() {
    local up=(up --wait --wait-timeout "$WAIT_S" --no-build --pull "${PULL:-missing}" --quiet-pull)
    local scaled=(--scale order=3 --scale router=2 --scale webhook-processor=2)
    trap finish EXIT
    trap interrupted INT TERM
    TIFFIN_PORT=$(free_port)
    TIFFIN_SIM_PORT=$(free_port)
    export TIFFIN_PORT TIFFIN_SIM_PORT
    API=http://127.0.0.1:$TIFFIN_PORT
    SIM=http://127.0.0.1:$TIFFIN_SIM_PORT

    check "an engine with compose v2 answers" docker compose version --short || exit
    check "secrets are made" "$DEPLOY/secrets.sh" || exit
    check "making them again changes nothing" secrets_stay
    check "the images build" quietly compose build || exit
    docker images --format '      {{.Repository}} {{.Size}}' | grep -E "^ +${TIFFIN_IMAGE:-tiffin}(-migrate)? "
    check "everything is up" quietly compose "${up[@]}" || exit
    check "every container is healthy, migrate has ended well" all_healthy
    check "no root, no capabilities, nothing writable, memory and processes bounded" hardened
    check "ports are published on 127.0.0.1 only" published_on_loopback
    check "the stores are hidden from who needs them not" stores_hidden
    check "the demo passes through the published ports" demo
    check "two more migrations at once find nothing to do" migrate_twice
    check "order=3 router=2 webhook-processor=2 come up while it runs" quietly compose "${up[@]}" "${scaled[@]}"
    check "every replica serves" load_until_all_served
    check "every payment of that load is settled" all_paid "$WORK/orders"
    memory | sed 's/^/      /'
    for service in order router webhook-processor reconciler notifier psp-sim gateway redis postgres; do
        check "$service: killed with SIGKILL, started again, all is healthy" survives_kill "$service"
    done
    check "nothing that was settled is lost" all_paid "$WORK/orders"
    check "the demo passes again" demo
    check "every process ends with 0 when it is stopped" stops_cleanly
    check "it starts again" quietly compose "${up[@]}" "${scaled[@]}"
    check "with its data" all_paid "$WORK/orders"
    check "nothing is left after down -v" leaves_nothing
}

main
