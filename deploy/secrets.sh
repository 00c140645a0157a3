#!/bin/bash
# secrets.sh - makes the passwords that deploy/compose.yaml hands to its containers as files, in deploy/secrets/ (ignored by git).
# Run again: what is there stays, what is missing is made.
#
#   TIFFIN_SECRETS    another directory; compose.yaml honours it too
#
# The files are readable by all, for containers run as users of their own; the directory is not. A password that is to change:
# remove its file, run this, then `up` again; postgres_password alone is fixed when the database's volume is made.
set -euo pipefail
umask 022

directory=${TIFFIN_SECRETS:-$(cd -- "$(dirname -- "$(realpath -- "${BASH_SOURCE[0]}")")" && pwd)/secrets}
made=0

# put FILE TEXT: a file whose text is this, whole or not at all.
put() {
    printf '%s\n' "$2" >"$directory/.new"
    mv "$directory/.new" "$directory/$1"
}

# password FILE: kept, or 192 bits in digits and letters, which need no quoting anywhere.
password() {
    [ ! -s "$directory/$1" ] || return 0
    put "$1" "$(od -An -N24 -tx1 /dev/urandom | tr -d ' \n')"
    made=$((made + 1))
}

mkdir -p "$directory"
chmod 700 "$directory"
password postgres_password
for service in order router webhook_processor reconciler notifier; do
    password "tiffin_$service.password"
    put "tiffin_$service.url" "postgresql://tiffin_$service:$(<"$directory/tiffin_$service.password")@postgres:5432/tiffin"
done
password tiffin_audit.password
password redis_password
put redis.url "redis://:$(<"$directory/redis_password")@redis:6379"
put redis.conf "requirepass $(<"$directory/redis_password")"

if [ "$made" -gt 0 ]; then
    echo "secrets.sh: made $made passwords in $directory"
else
    echo "secrets.sh: all passwords are in $directory"
fi
