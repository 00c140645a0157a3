# redis.sh - a private Redis on 127.0.0.1 that has on disk what it has answered, with its data in $TIFFIN_HOME/redis.

REDIS_DATA=$TIFFIN_HOME/redis

redis_write() {
    instance_write redis PATH="$PATH" LANG=C.UTF-8 TZ=UTC /usr/bin/redis-server --bind 127.0.0.1 --port "${PORTS[redis]}" \
        --dir "$REDIS_DATA" --appendonly yes --appendfsync always --save "''" --maxmemory-policy noeviction \
        --tcp-backlog 128 --daemonize no
}

redis_start() {
    if ! instance_supervised redis; then
        [ -d "$REDIS_DATA" ] || mkdir -m 700 "$REDIS_DATA"
        strays_end "$REDIS_DATA"
        port_choose redis
        redis_write
    fi
    instance_start redis
}

redis_url() { printf 'redis://127.0.0.1:%s' "${PORTS[redis]}"; }

redis_cli() { redis-cli -h 127.0.0.1 -p "${PORTS[redis]}" "$@"; }

redis_answers() { [ "$(redis_cli ping 2>/dev/null)" = PONG ]; }
