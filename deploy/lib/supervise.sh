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
        printf '#!/bin/bash\n# %s\nexec >>%q 2>&1\nexec env -i%s\n' \
            "Written by deploy/local.sh; runsv runs it again whenever it ends." "$LOG/$name.log" "$words" >"$SV/$name/run.new"
        chmod 700 "$SV/$name/run.new"
        exec mv "$SV/$name/run.new" "$SV/$name/run"
    )
}

# Starts the supervisor of an instance, or only the program when the supervisor is there.
instance_start() {
    local name=$1
    if ! instance_supervised "$name"; then
        strays_end "$SV/$name"
        rm -rf "$SV/$name/supervise"
        setsid -f runsv "$SV/$name" </dev/null >>"$LOG/supervisor.log" 2>&1 9>&-
        wait_until 5 instance_supervised "$name" || die "runsv did not start for $name: see $LOG/supervisor.log"
    else
        sv up "$SV/$name" >/dev/null
    fi
}

instance_supervised() { sv status "$SV/$1" >/dev/null 2>&1; }

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

# strays DIRECTORY: pids of our programs that work in it or below it. In a container not even root may see where the processes of
# another user work; PostgreSQL, which runs as another user then, says by its command line what it serves.
strays() {
    local directory=$1 process name words pattern processes=()
    for process in /proc/[0-9]*; do
        { read -r name <"$process/comm"; } 2>/dev/null || continue
        case $name in
        runsv | run | tiffin-* | redis-server) processes+=("$process/cwd") ;;
        postgres)
            processes+=("$process/cwd")
            { mapfile -d '' -t words <"$process/cmdline"; } 2>/dev/null || continue
            [ "${words[1]:-}" != -D ] || [ "${words[2]:-}" != "$directory" ] || printf '%s\n' "${process#/proc/}"
            ;;
        esac
    done
    [ "${#processes[@]}" -gt 0 ] || return 0
    pattern=${directory//\\/\\\\} # taken literally
    pattern=${pattern//\[/\\[}
    pattern=${pattern//\*/\\*}
    pattern=${pattern//\?/\\?}
    while read -r process; do
        printf '%s\n' "${process#/proc/}"
    done < <(find "${processes[@]}" -maxdepth 0 \( -lname "$pattern" -o -lname "$pattern/*" \) -printf '%h\n' 2>/dev/null)
}

no_strays() { [ -z "$(strays "$1")" ]; }

# Ends what a killed supervisor, or a machine in trouble, has left of an instance.
strays_end() {
    local pids signal=TERM
    mapfile -t pids < <(strays "$1")
    [ "${#pids[@]}" -gt 0 ] || return 0
    [ "$1" != "$PG_DATA" ] || signal=INT # see postgres_write
    kill -"$signal" "${pids[@]}" 2>/dev/null || true
    if ! wait_until "$STOP_S" no_strays "$1"; then
        mapfile -t pids < <(strays "$1")
        kill -KILL "${pids[@]}" 2>/dev/null || true
    fi
}
