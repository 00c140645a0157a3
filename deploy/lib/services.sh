# services.sh - instances of gateway, services and simulator: names, ports, environment.
#
# An instance is <service>-<n>, n from 1. run/hubs, run/taps and run/gateways list the gateways' endpoints, one per line; services
# read run/hubs again every few seconds, so that gateways may come and go.

BUS_SERVICES=(order router webhook-processor reconciler notifier) # what a gateway must see before it is ready
SERVICES=(gateway "${BUS_SERVICES[@]}" psp-sim)
PSPS=(RAZORPAY CASHFREE JUSPAY STRIPE PAYU PHONEPE ADYEN)
INSTANCES_MAX=32 # per service; also the most gateways that a service connects to

# instances_of SERVICE: its numbers, ascending.
instances_of() {
    local number
    for ((number = 1; number <= INSTANCES_MAX; number++)); do
        [ ! -d "$SV/$1-$number" ] || printf '%s\n' "$number"
    done
}

# ---- settings: what the caller's environment says when the stack is started reaches every process ----

SETTINGS=$RUN/settings.env

# The names of deploy/.env.example that are the caller's to set; each also as NAME_FILE. The others are ours below.
setting_names() {
    sed -n 's/^#\{0,1\} \{0,1\}\([A-Z][A-Z0-9_]*\)=.*/\1/p' "$ROOT/deploy/.env.example" | sort -u |
        grep -vxE 'TIFFIN_(ENV|HOME|PORT)|DATABASE_URL|REDIS_URL|(API|HUB|TAP|PSP_SIM)_ADDR|(HUB|TAP)_BIND|INSTANCE|PSP_SIM_DATA_FILE'
}

# NAME=VALUE of the caller's, one per line.
settings_of_caller() {
    local name suffix variable
    for name in $(setting_names); do
        for suffix in "" _FILE; do
            variable=$name$suffix
            [ -z "${!variable:-}" ] || printf '%s=%s\n' "$variable" "${!variable//$'\n'/ }"
        done
    done
}

settings_save() { (umask 077 && settings_of_caller >"$SETTINGS"); }

# What is saved, with what the caller says now in place of it.
settings_merged() {
    declare -A merged=()
    local name value
    while IFS='=' read -r name value; do
        merged[$name]=$value
    done < <(cat "$SETTINGS" 2>/dev/null || true; settings_of_caller)
    for name in "${!merged[@]}"; do
        [ -z "$name" ] || printf '%s=%s\n' "$name" "${merged[$name]}"
    done
}

# The same as array STACK_SETTINGS; read once, for all instances that one command starts.
STACK_SETTINGS=()
settings_load() {
    [ -z "${STACK_SETTINGS_LOADED:-}" ] || return 0
    mapfile -t STACK_SETTINGS < <(settings_merged)
    STACK_SETTINGS_LOADED=1
}

# ---- ports and addresses ----

url_of_gateway() { printf 'http://127.0.0.1:%s' "${PORTS[http_$1]}"; }
url_of_sim() { printf 'http://127.0.0.1:%s' "${PORTS[sim]}"; }

# The port of gateway N: TIFFIN_PORT, then the next free ones after the simulator's.
http_port_choose() {
    local number=$1 port known
    if [ "$number" -eq 1 ]; then
        port_set http_1 "${TIFFIN_PORT:-8080}"
        port_set sim $((${TIFFIN_PORT:-8080} + 1))
        return
    fi
    port=${PORTS[http_$number]:-}
    if [ -n "$port" ] && [ "$port" -gt "${PORTS[sim]}" ] && ! port_busy "$port"; then
        return
    fi
    port=$((PORTS[sim] + 1))
    known=" ${PORTS[*]} "
    while [[ $known == *" $port "* ]] || port_busy "$port"; do
        port=$((port + 1))
    done
    port_set "http_$number" "$port"
}

gateways_write() {
    local number
    : >"$RUN/hubs.new"
    : >"$RUN/taps.new"
    : >"$RUN/gateways.new"
    for number in $(instances_of gateway); do
        printf 'tcp://127.0.0.1:%s\n' "${PORTS[hub_$number]}" >>"$RUN/hubs.new"
        printf 'tcp://127.0.0.1:%s\n' "${PORTS[tap_$number]}" >>"$RUN/taps.new"
        printf '%s\n' "$(url_of_gateway "$number")" >>"$RUN/gateways.new"
    done
    mv "$RUN/hubs.new" "$RUN/hubs"
    mv "$RUN/taps.new" "$RUN/taps"
    mv "$RUN/gateways.new" "$RUN/gateways"
}

# ---- instances ----

# has_own_keys PSP: somebody has given keys for it; then the simulator is not asked, nor told.
has_own_keys() {
    local setting
    for setting in "${STACK_SETTINGS[@]}"; do
        [[ $setting != "$1_KEY_SECRET="* ]] || return 0
    done
    return 1
}

# service_environment SERVICE N → array ENVIRONMENT of NAME=VALUE. What comes later wins.
service_environment() {
    local service=$1 number=$2 psp name sim
    settings_load
    sim=$(url_of_sim)
    ENVIRONMENT=(PATH="$PATH" HOME="${HOME:-/}" LANG=C.UTF-8)
    for name in ASAN_OPTIONS UBSAN_OPTIONS TSAN_OPTIONS; do
        [ -z "${!name:-}" ] || ENVIRONMENT+=("$name=${!name}")
    done
    for psp in "${PSPS[@]}"; do
        has_own_keys "$psp" || ENVIRONMENT+=("${psp}_BASE_URL=$sim/${psp,,}")
    done
    ENVIRONMENT+=(PSP_SIM_WEBHOOK_URL="$(url_of_gateway 1)/webhooks" PUBLIC_URL="$(url_of_gateway 1)")
    ENVIRONMENT+=("${STACK_SETTINGS[@]}" TIFFIN_ENV=dev INSTANCE="$service-$number" REDIS_URL="$(redis_url)" HUB_ADDR="@$RUN/hubs" TAP_ADDR="@$RUN/taps")
    case $service in
    gateway)
        ENVIRONMENT+=(API_ADDR="127.0.0.1:${PORTS[http_$number]}" HUB_BIND="tcp://127.0.0.1:${PORTS[hub_$number]}"
            TAP_BIND="tcp://127.0.0.1:${PORTS[tap_$number]}")
        ;;
    psp-sim)
        for psp in "${PSPS[@]}"; do
            ! has_own_keys "$psp" || ENVIRONMENT+=("${psp}_KEY_ID=" "${psp}_KEY_SECRET=" "${psp}_WEBHOOK_SECRET=" "${psp}_ACCOUNT=" "${psp}_BASE_URL=")
        done
        ENVIRONMENT+=(PSP_SIM_ADDR="127.0.0.1:${PORTS[sim]}" PSP_SIM_DATA_FILE="$TIFFIN_HOME/psp-sim.journal")
        ;;
    *) ENVIRONMENT+=(DATABASE_URL="$(postgres_url "tiffin_${service//-/_}")") ;;
    esac
}

# Starts an instance unless it runs. A new gateway is made known before it serves, so that services find it at once.
service_start() {
    local service=$1 number=$2 name=$1-$2
    if ! instance_supervised "$name"; then
        strays_end "$SV/$name"
        if [ "$service" = gateway ]; then
            http_port_choose "$number"
            port_choose "hub_$number"
            port_choose "tap_$number"
            mkdir -p "$SV/$name"
            gateways_write
            port_must_be_free "${PORTS[http_$number]}"
        elif [ "$service" = psp-sim ]; then
            port_must_be_free "${PORTS[sim]}"
        fi
        service_environment "$service" "$number"
        instance_write "$name" "${ENVIRONMENT[@]}" "$BIN/tiffin-$service"
    fi
    instance_start "$name"
}

# Before anything is installed, built or started: are the ports that people know ours to take?
ports_check() {
    local port=${TIFFIN_PORT:-8080}
    [[ $port =~ ^[1-9][0-9]{0,4}$ && $port -lt 65535 ]] || die "TIFFIN_PORT is a port from 1 to 65534, not '$port'"
    [ ! -d "$SV/gateway-1" ] || return 0 # whoever has them may be ours
    port_must_be_free "$port"
    port_must_be_free $((port + 1))
}

port_must_be_free() {
    ! port_busy "$1" || die "port $1 is in use by another program; set TIFFIN_PORT to another port (two in a row must be free)"
}

# ---- ready: every gateway answers 200 and sees exactly as many instances as there should be ----

ready_now() {
    local number service expected body
    local -A instances=()
    for service in "${BUS_SERVICES[@]}"; do
        mapfile -t expected < <(instances_of "$service")
        instances[$service]=${#expected[@]}
    done
    for number in $(instances_of gateway); do
        body=$(curl -s -m 3 -w '%{http_code}' "$(url_of_gateway "$number")/readyz" 2>/dev/null) || return 1
        [ "${body: -3}" = 200 ] || return 1
        for service in "${BUS_SERVICES[@]}"; do
            [[ ${body//[[:space:]]/} =~ \"${service}\":${instances[$service]}[^0-9] ]] || return 1
        done
    done
    [ -n "${number:-}" ] && curl -s -o /dev/null -m 3 "$(url_of_sim)/_sim/book"
}

ready_wait() {
    local seconds=$1 name number
    ! wait_until "$seconds" ready_now || return 0
    say "not ready after $seconds s" >&2
    for number in $(instances_of gateway); do
        say "gateway-$number says: $(curl -s -m 3 "$(url_of_gateway "$number")/readyz" 2>&1 || echo nothing)" >&2
    done
    for name in $(instance_names); do
        [ "$(instance_state "$name")" = run ] || say "$name does not run" >&2
        [ ! -s "$LOG/$name.log" ] || { say "---- $LOG/$name.log" && tail -n 8 "$LOG/$name.log"; } >&2
    done
    return 1
}
