#!/bin/bash
# healthcheck.sh - what a container's health check runs, with nothing but bash.
#
#   healthcheck.sh http PORT PATH     the server in this container answers 200
#   healthcheck.sh connected PORT…    this container holds an established TCP connection to each of these ports: a service that has
#                                     none to a gateway's hub gets no work, one that has none to its stores can do none
#
# Exit status 0 healthy, 1 not.
set -euo pipefail

http() {
    local status
    exec 3<>"/dev/tcp/127.0.0.1/$1"
    printf 'GET %s HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n' "$2" >&3
    read -r -t 3 status <&3
    [[ $status == "HTTP/1.1 200"* ]]
}

# /proc/net/tcp: sl local_address rem_address st …; addresses are HEX:PORT in hexadecimal, state 01 is ESTABLISHED.
connected() {
    local port
    for port; do
        printf -v port ':%04X' "$port"
        grep -qE "^ *[0-9]+: [0-9A-F]+:[0-9A-F]{4} [0-9A-F]+$port 01 " /proc/net/tcp /proc/net/tcp6
    done
}

case ${1:-} in
http | connected) "$@" ;;
*)
    sed -n '2,/^set /s/^# \{0,1\}//p' "$0" >&2
    exit 2
    ;;
esac
