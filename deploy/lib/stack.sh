# stack.sh - the commands for the running stack: up, demo, down, status, logs, scale, and stopping a store alone.

READY_S=30

# ---- up ----

# Every instance that belongs to the stack, and at least one of each service, under a supervisor and running.
stack_running() {
    local service directories=()
    [ -x /usr/bin/sv ] && [ -d "$SV/postgres" ] && [ -d "$SV/redis" ] || return 1
    for service in "${SERVICES[@]}"; do
        [ -n "$(instances_of "$service")" ] || return 1
    done
    directories=("$SV"/*/)
    [ "$(sv status "${directories[@]}" 2>/dev/null | grep -c '^run: ')" -eq "${#directories[@]}" ]
}

stack_up() {
    local start
    now_ms start
    lock_home
    ports_load
    if [ -d "$SV/gateway-1" ] && [ -n "${TIFFIN_PORT:-}" ] && [ "$TIFFIN_PORT" != "${PORTS[http_1]}" ] &&
        [ "$(instance_state gateway-1)" != fail ]; then
        die "already running on port ${PORTS[http_1]}: deploy/local.sh down first, or choose another TIFFIN_HOME"
    fi
    if stack_running && ready_now; then
        say "already running, nothing to do: $(url_of_gateway 1) (deploy/local.sh status)"
        [ "$(settings_merged | sort)" = "$(sort "$SETTINGS")" ] ||
            say "note: the settings in your environment differ from those it runs with; deploy/local.sh down first to change them"
        return
    fi
    ports_check
    packages_ensure build run
    build_release
    stack_start
    step "ready in $(took "$start")"
    flock -u 9
    stack_demo || die "the demo failed: deploy/local.sh logs shows why"
    stack_addresses
}

stack_start() {
    local service number numbers
    [ -n "$(instance_names)" ] || settings_save
    [ -f "$SETTINGS" ] || settings_save
    postgres_start
    redis_start
    wait_until 60 postgres_answers || die_with_log postgres "PostgreSQL does not answer"
    wait_until 60 redis_answers || die_with_log redis "Redis does not answer"
    step "PostgreSQL $(postgres_url tiffin_audit), Redis $(redis_url)"
    postgres_migrate
    for service in "${SERVICES[@]}"; do
        numbers=$(instances_of "$service")
        for number in ${numbers:-1}; do
            service_start "$service" "$number"
        done
    done
    step "started ${SERVICES[*]}"
    ready_wait "$READY_S" || die "the stack did not become ready; logs are in $LOG"
}

die_with_log() {
    tail -n 20 "$LOG/$1.log" >&2 || true
    die "$2: see $LOG/$1.log"
}

stack_addresses() {
    say ""
    say "API        $(url_of_gateway 1)   (readyz, metrics, openapi.json, ws?user_id=…)"
    say "simulator  $(url_of_sim)"
    printf 'tap        TAP_ADDR=@%q %q\n' "$RUN/taps" "$BIN/tiffin-tap"
    say "stop       deploy/local.sh down"
}

must_run() {
    ports_load
    if [ ! -x /usr/bin/sv ] || [ ! -d "$SV/gateway-1" ] || [ "$(instance_state gateway-1)" = fail ]; then
        die "not running: deploy/local.sh up"
    fi
}

stack_demo() {
    must_run
    "$PYTHON" "$ROOT/deploy/demo.py" "$(url_of_gateway 1)" "$(url_of_sim)"
}

# ---- down: the edge first, while services still answer what it holds; then services; then what they store in ----

stack_down() {
    local names left
    [ -d "$RUN" ] || { say "nothing runs" && return; }
    lock_home
    ports_load
    if [ -z "$(instance_names)" ]; then
        say "nothing runs"
        return
    fi
    mapfile -t names < <(instance_names | grep -E '^(gateway|psp-sim)-' || true)
    instances_stop "${names[@]}"
    mapfile -t names < <(instance_names | grep -vxE 'postgres|redis' || true)
    instances_stop "${names[@]}"
    mapfile -t names < <(instance_names)
    instances_stop "${names[@]}"
    for left in "$SV" "$PG_DATA" "$REDIS_DATA"; do
        strays_end "$left"
    done
    rm -f "$RUN/hubs" "$RUN/taps" "$RUN/gateways"
    say "stopped; the data is in $TIFFIN_HOME"
}

# ---- a store alone ----

store_check() {
    case $1 in
    postgres | redis) ;;
    *) die "which store? postgres or redis" ;;
    esac
    must_run
}

store_stop() {
    store_check "$1"
    sv -w "$STOP_S" force-stop "$SV/$1" >/dev/null || die "$1 does not stop"
    say "$1 is stopped"
}

store_start() {
    store_check "$1"
    instance_start "$1"
    wait_until 60 "$1_answers" || die_with_log "$1" "$1 does not answer"
    say "$1 answers"
}

# ---- status and logs ----

# Resident memory of a process and its children in KiB; what PostgreSQL's processes share is counted once. Where smaps_rollup is not
# ours to read (a container's root, a process of another user), the children's own pages are counted beside all of their parent's.
memory_kib() {
    local pid=$1 children total=0 process kib
    children=$(cat "/proc/$pid/task/$pid/children" 2>/dev/null || true)
    for process in $pid $children; do
        kib=
        if [ -n "$children" ]; then
            kib=$(sed -n 's/^Pss: *\([0-9]*\) kB/\1/p' "/proc/$process/smaps_rollup" 2>/dev/null || true)
        fi
        if [ -z "$kib" ] && [ "$process" != "$pid" ]; then
            kib=$(sed -n 's/^RssAnon:[[:space:]]*\([0-9]*\) kB/\1/p' "/proc/$process/status" 2>/dev/null || true)
        elif [ -z "$kib" ]; then
            kib=$(sed -n 's/^VmRSS:[[:space:]]*\([0-9]*\) kB/\1/p' "/proc/$process/status" 2>/dev/null || true)
        fi
        total=$((total + ${kib:-0}))
    done
    printf '%s' "$total"
}

instance_address() {
    local number=${1##*-}
    case $1 in
    gateway-*) printf '%s  hub %s  tap %s' "$(url_of_gateway "$number")" "${PORTS[hub_$number]}" "${PORTS[tap_$number]}" ;;
    psp-sim-*) url_of_sim ;;
    postgres) postgres_url tiffin_audit ;;
    redis) redis_url ;;
    esac
}

stack_status() {
    local name status pid seconds kib total=0
    ports_load
    if [ -z "$(instance_names)" ] || [ ! -x /usr/bin/sv ]; then
        say "nothing runs"
        return
    fi
    printf '%-22s %8s  %-19s %9s  %s\n' INSTANCE PID SINCE MEMORY ADDRESS
    for name in $(instance_names); do
        status=$(sv status "$SV/$name" 2>/dev/null) || true
        if [[ $status =~ ^run:.*\(pid\ ([0-9]+)\)\ ([0-9]+)s ]]; then
            pid=${BASH_REMATCH[1]} seconds=${BASH_REMATCH[2]}
            kib=$(memory_kib "$pid")
            total=$((total + kib))
            printf '%-22s %8s  %-19s %5d.%d MB  %s\n' "$name" "$pid" "$(date -d "-$seconds seconds" '+%F %T')" \
                $((kib / 1024)) $((kib % 1024 * 10 / 1024)) "$(instance_address "$name")"
        else
            printf '%-22s %8s  %-19s %9s  %s\n' "$name" - "$([ "$(instance_state "$name")" = down ] && echo stopped || echo "not supervised")" - ""
        fi
    done
    printf '%-22s %8s  %-19s %5d.%d MB\n' total "" "" $((total / 1024)) $((total % 1024 * 10 / 1024))
}

stack_logs() {
    local files=() file name=${1:-}
    for file in "$LOG"/*.log; do
        case ${file##*/} in
        build-* | packages.log | supervisor.log) continue ;;
        esac
        if [ -z "$name" ] || [[ ${file##*/} == "$name.log" || ${file##*/} =~ ^$name-[0-9]+\.log$ ]]; then
            [ ! -f "$file" ] || files+=("$file")
        fi
    done
    [ "${#files[@]}" -gt 0 ] || die "no logs${name:+ of $name} in $LOG"
    exec tail -n 20 -F "${files[@]}"
}

# ---- scale ----

stack_scale() {
    local pair service count
    [ $# -gt 0 ] || die "scale what? e.g. deploy/local.sh scale order=3 router=2 gateway=2"
    for pair; do
        service=${pair%%=*} count=${pair#*=}
        [[ " gateway ${BUS_SERVICES[*]} " == *" $service "* && $pair == *=* ]] || die "no such service: $pair"
        if [[ ! $count =~ ^[1-9][0-9]?$ ]] || [ "$count" -gt "$INSTANCES_MAX" ]; then
            die "$service: from 1 to $INSTANCES_MAX instances, not '$count'"
        fi
    done
    lock_home
    must_run
    BIN=${TIFFIN_BIN:-$ROOT/build/bin}
    BIN=$(realpath -- "$BIN")
    for pair; do
        scale_one "${pair%%=*}" "${pair#*=}"
    done
    ready_wait "$READY_S" || die "the stack did not become ready; logs are in $LOG"
    say "ready: $(for service in "${SERVICES[@]}"; do printf '%s=%s ' "$service" "$(instances_of "$service" | wc -l)"; done)"
}

scale_one() {
    local service=$1 count=$2 number leaving=()
    for ((number = 1; number <= count; number++)); do
        [ -d "$SV/$service-$number" ] || step "starting $service-$number"
        service_start "$service" "$number"
        [ "$service" != gateway ] || say "    gateway-$number is on $(url_of_gateway "$number")"
    done
    for number in $(instances_of "$service"); do
        [ "$number" -le "$count" ] || leaving+=("$service-$number")
    done
    [ "${#leaving[@]}" -gt 0 ] || return 0
    step "draining ${leaving[*]}"
    instances_stop "${leaving[@]}"
    [ "$service" != gateway ] || gateways_write
}
