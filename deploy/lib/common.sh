# common.sh - what every part uses: where things are, output, waiting, ports. Sourced by local.sh, which sets ROOT.

TIFFIN_HOME=$(realpath -m -- "${TIFFIN_HOME:-$ROOT/.local}")
RUN=$TIFFIN_HOME/run
LOG=$TIFFIN_HOME/log
PYTHON=/usr/bin/python3 # Debian's: another one first in PATH has none of Debian's modules

# ---- output ----

say() { printf '%s\n' "$*"; }
step() { printf '==> %s\n' "$*"; }
die() {
    printf 'local.sh: %s\n' "$*" >&2
    exit 1
}

# The clock in milliseconds, into the variable named.
now_ms() { printf -v "$1" '%s' "$((${EPOCHREALTIME/[.,]/} / 1000))"; }

# What took how long, for people: took START_MS → "3.2 s".
took() {
    local end
    now_ms end
    printf '%d.%d s' $(((end - $1) / 1000)) $(((end - $1) % 1000 / 100))
}

# with_progress LOG COMMAND…: what the command says goes to the log, and its last line now and then to people, lest they think it
# hangs. The other end of the pipe ends by itself when this process does, however that comes.
PROGRESS_S=15
with_progress() {
    local log=$1 running status=0
    shift
    : >"$log"
    exec {running}> >(progress_show "$log" 9>&-)
    "$@" >"$log" 2>&1 </dev/null {running}>&- || status=$?
    exec {running}>&-
    return "$status"
}

progress_show() {
    local start line status=0
    now_ms start
    while :; do
        read -rt "$PROGRESS_S" line || status=$?
        [ "$status" -gt 128 ] || return 0 # not the time is over: the pipe is closed
        line=$(tail -n 1 "$1" | tr -d '\r' | cut -c 1-100)
        say "    $(took "$start")  $line"
    done
}

as_root() {
    if [ "$(id -u)" -eq 0 ]; then
        "$@"
    elif command -v sudo >/dev/null; then
        sudo -- "$@"
    else
        die "this needs root, and there is no sudo: $*"
    fi
}

# wait_until SECONDS COMMAND…: until the command succeeds; fails after the deadline.
wait_until() {
    local seconds=$1 now end
    shift
    now_ms end
    end=$((end + seconds * 1000))
    until "$@"; do
        now_ms now
        [ "$now" -lt "$end" ] || return 1
        sleep 0.05
    done
}

# One change at a time: up, down, scale. The lock is held until this process ends; nothing we start may inherit descriptor 9.
lock_home() {
    mkdir -p "$RUN" "$LOG"
    exec 9>"$RUN/lock"
    flock -w 120 9 || die "another local.sh is busy with $TIFFIN_HOME"
}

# ---- ports: chosen once, kept in run/ports.env so that a restart finds its peers where they were ----

declare -A PORTS=()

ports_load() {
    local name value
    PORTS=()
    [ -f "$RUN/ports.env" ] || return 0
    while IFS='=' read -r name value; do
        PORTS[$name]=$value
    done <"$RUN/ports.env"
}

port_set() {
    local name
    [ "${PORTS[$1]:-}" != "$2" ] || return 0
    PORTS[$1]=$2
    for name in "${!PORTS[@]}"; do
        printf '%s=%s\n' "$name" "${PORTS[$name]}"
    done | sort >"$RUN/ports.env.new"
    mv "$RUN/ports.env.new" "$RUN/ports.env"
}

port_busy() { (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null; }

# Below the ports that the kernel hands out itself, so that no outgoing connection takes one before its server does.
port_free() {
    local -n port_found=$1
    local attempt known
    for attempt in {1..200}; do
        port_found=$((10000 + RANDOM % 22000))
        known=" ${PORTS[*]} "
        [[ $known == *" $port_found "* ]] || port_busy "$port_found" || return 0
    done
    die "found no free port after $attempt attempts"
}

# port_choose NAME: keeps the port on record unless somebody else has taken it. Only for a server that does not run now.
port_choose() {
    local port=${PORTS[$1]:-}
    if [ -z "$port" ] || port_busy "$port"; then
        port_free port
        port_set "$1" "$port"
    fi
}
