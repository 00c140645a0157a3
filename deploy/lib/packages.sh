# packages.sh - Debian packages: what is missing of deploy/packages.txt is installed, and nothing else is touched.

# packages_of SECTION…: their names, one per line.
packages_of() {
    local section
    for section; do
        sed -n "/^\[$section\]/,/^\[/{/^[a-z0-9]/p}" "$ROOT/deploy/packages.txt"
    done
}

# packages_missing SECTION…: one dpkg-query for all.
packages_missing() {
    local wanted
    mapfile -t wanted < <(packages_of "$@")
    # A package that dpkg has never heard of is not in its answer.
    comm -23 <(printf '%s\n' "${wanted[@]}" | sort -u) \
        <({ dpkg-query -W -f '${db:Status-Abbrev}${Package}\n' "${wanted[@]}" 2>/dev/null || true; } | sed -n 's/^.i *//p' | sort -u)
}

# Installing a server must not start it, nor make a database: ours are private. Both wishes are taken back afterwards.
packages_install() {
    local status=0
    # shellcheck disable=SC2016 # the other shell expands them
    with_progress "$LOG/packages.log" as_root env DEBIAN_FRONTEND=noninteractive LC_ALL=C.UTF-8 bash -euc '
        policy=/usr/sbin/policy-rc.d
        cluster=/etc/postgresql-common/createcluster.d/tiffin.conf
        undo=()
        trap "rm -f -- \"\${undo[@]}\"" EXIT
        if [ ! -e "$policy" ]; then
            undo+=("$policy")
            printf "#!/bin/sh\nexit 101\n" >"$policy"
            chmod 755 "$policy"
        fi
        if [ ! -e "$cluster" ]; then
            undo+=("$cluster")
            mkdir -p "${cluster%/*}"
            echo "create_main_cluster = false" >"$cluster"
        fi
        # A machine that has just started updates its lists by itself, and this lock, unlike the other, is not waited for.
        until answer=$(apt-get update -qq -o Acquire::Retries=3 2>&1); do
            printf "%s\n" "$answer"
            [[ $answer == *"Could not get lock"* && $SECONDS -lt 300 ]] || exit 100
            sleep 2
        done
        apt-get install -y -q --no-install-recommends -o Acquire::Retries=3 -o DPkg::Lock::Timeout=300 "$@"
    ' packages "$@" || status=$?
    if [ "$status" -ne 0 ]; then
        tail -n 20 "$LOG/packages.log" >&2
        die "apt-get could not install the packages: see $LOG/packages.log"
    fi
}

packages_ensure() {
    local missing start
    command -v dpkg-query >/dev/null || die "this script installs Debian packages; on another system see deploy/packages.txt and deploy/compose.yaml"
    mapfile -t missing < <(packages_missing "$@")
    [ "${#missing[@]}" -gt 0 ] || return 0
    mkdir -p "$LOG"
    now_ms start
    step "installing ${#missing[@]} Debian packages: ${missing[*]}"
    # `sudo -v` asks for a password as soon as any of the user's rules wants one, even when another rule lets it do without.
    if [ "$(id -u)" -ne 0 ] && ! sudo -n true 2>/dev/null; then
        sudo -v || die "installing packages needs root: run this as root, or as a user with sudo"
    fi
    packages_install "${missing[@]}"
    say "    installed in $(took "$start")"
}
