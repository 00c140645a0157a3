# supervise.sh - processes under runit's runsv, one supervisor for each, so that one that dies is back within two seconds.
#
# An instance is a directory run/sv/<instance> with a `run` script; while it exists the instance belongs to the stack. A program's
# working directory is that directory or its data directory: by it we find what is left of a supervisor that was killed.

SV=$RUN/sv
STOP_S=15 # longer than any program drains

instance_names() {
    local directory
    for directory in "$SV"/*/; do
        [ -d "$directory" ] && basename "$directory"
    done
    return 0
}

# instance_state NAME → run, down (its supervisor waits) or fail (it has no supervisor).
instance_state() {
    local status
    status=$(sv status "$SV/$1" 2>/dev/null) || true
    case $status in
    run:*) echo run ;;
    down:* | finish:*) echo down ;;
    *) echo fail ;;
    esac
}

instance_pid() { cat "$SV/$1/supervise/pid" 2>/dev/null || true; }

# instance_write NAME COMMAND…: the run script, with exactly the environment given as NAME=VALUE words before the program.
instance_write() {
    local name=$1 words
    shift
    mkdir -p "$SV/$name"
    printf -v words ' %q' "$@"
    (
        umask 077 # settings may be secrets
        cat >"$SV/$name/run.new" <<END
#!/bin/bash
# Written by deploy/local.sh; runsv runs it again whenever it ends.
exec >>$(printf %q "$LOG/$name.log") 2>&1
exec env -i$words
END
    )
    chmod 700 "$SV/$name/run.new"
    mv "$SV/$name/run.new" "$SV/$name/run"
}

# Starts the supervisor of an instance, or only the program when the supervisor is there.
instance_start() {
    local name=$1
    if [ "$(instance_state "$name")" = fail ]; then
        strays_end "$SV/$name"
        rm -rf "$SV/$name/supervise"
        setsid -f runsv "$SV/$name" </dev/null >>"$LOG/supervisor.log" 2>&1 9>&-
        wait_until 5 instance_supervised "$name" || die "runsv did not start for $name: see $LOG/supervisor.log"
    else
        sv up "$SV/$name" >/dev/null
    fi
}

instance_supervised() { [ "$(instance_state "$1")" != fail ]; }

# instances_stop NAME…: asks all to end, waits, kills what is left after STOP_S, and ends their supervisors.
instances_stop() {
    local directories=()
    local name
    for name; do
        directories+=("$SV/$name")
    done
    [ "${#directories[@]}" -gt 0 ] || return 0
    sv -w "$STOP_S" force-shutdown "${directories[@]}" >>"$LOG/supervisor.log" 2>&1 || true
    for name; do
        if instance_supervised "$name"; then
            sv exit "$SV/$name" >/dev/null 2>&1 || true
            wait_until 5 instance_gone "$name" || say "the supervisor of $name does not end" >&2
        fi
        strays_end "$SV/$name"
        rm -rf "${SV:?}/$name"
    done
}

instance_gone() { ! instance_supervised "$1"; }

# strays DIRECTORY: pids of our programs that work in it or below it.
strays() {
    local pattern link pid
    pattern=$(printf '%s' "$1" | sed 's/[][*?\\]/\\&/g') # taken literally
    { find /proc -mindepth 2 -maxdepth 2 -path '/proc/[0-9]*/cwd' \( -lname "$pattern" -o -lname "$pattern/*" \) 2>/dev/null || true; } |
        while read -r link; do
            pid=${link#/proc/}
            pid=${pid%/cwd}
            case $(cat "/proc/$pid/comm" 2>/dev/null || true) in
            runsv | run | tiffin-* | postgres | redis-server) printf '%s\n' "$pid" ;;
            esac
        done
}

no_strays() { [ -z "$(strays "$1")" ]; }

# Ends what a killed supervisor, or a machine in trouble, has left of an instance.
strays_end() {
    local pids
    mapfile -t pids < <(strays "$1")
    [ "${#pids[@]}" -gt 0 ] || return 0
    kill -TERM "${pids[@]}" 2>/dev/null || true
    if ! wait_until "$STOP_S" no_strays "$1"; then
        mapfile -t pids < <(strays "$1")
        kill -KILL "${pids[@]}" 2>/dev/null || true
    fi
}
