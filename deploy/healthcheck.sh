#!/bin/bash
# healthcheck.sh - how a container tells that its process does its work; in the image as tiffin-healthcheck. Needs bash alone.
#
#   tiffin-healthcheck http PORT PATH    a server here: GET PATH is answered with 200
#   tiffin-healthcheck hub SERVICE       a service: a gateway counts the instance of this container among those it gives work to,
#                                        which it does only while it hears from it. A connection alone would not tell: the kernel
#                                        holds it for a process that hangs. Services connect to every gateway, so any that the
#                                        name in HUB_ADDR leads to may be asked.
#
# Exit status: 0 healthy, and nothing is printed; 1 not, and why. The caller bounds the time.
set -euo pipefail

unhealthy() {
    printf '%s\n' "$1" >&2
    exit 1
}

# get HOST PORT PATH: the answer, headers and all. HTTP/1.0: the server ends the connection, and so the reading.
get() {
    exec 3<>"/dev/tcp/$1/$2"
    printf 'GET %s HTTP/1.0\r\nHost: %s\r\nConnection: close\r\n\r\n' "$3" "$1" >&3
    cat <&3
}

case ${1:-} in
http)
    answer=$(get 127.0.0.1 "$2" "$3") || unhealthy "nothing answers on port $2"
    [[ $answer == HTTP/1.?' 200 '* ]] || unhealthy "$3: ${answer:0:1000}"
    ;;
hub)
    host=${HUB_ADDR#tcp://}
    host=${host%:*}
    metrics=$(get "$host" 8080 /metrics) || unhealthy "$host does not answer"
    [[ $metrics == *"tiffin_worker_in_flight{service=\"$2\",instance=\"$2-$HOSTNAME-"* ]] ||
        unhealthy "$host gives no work to $2-$HOSTNAME"
    ;;
*)
    unhealthy "usage: tiffin-healthcheck http PORT PATH | hub SERVICE"
    ;;
esac
