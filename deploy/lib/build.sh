# build.sh - builds a CMake preset. Ninja knows by itself what is out of date, so building what is current takes a moment.

# build PRESET DIRECTORY [TARGET…]: the compiler's output is shown only when it fails. BUILD_BUG: a mistake that is built in.
build() {
    local preset=$1 directory=$ROOT/$2 start log
    shift 2
    now_ms start
    mkdir -p "$LOG"
    log=$LOG/build-$preset.log
    if ! with_progress "$log" build_quietly "$preset" "$directory" "$@"; then
        grep -v '^\[[0-9]*/[0-9]*\] ' "$log" | tail -n 60 >&2
        say "the build of preset $preset failed: see $log" >&2
        return 1
    fi
    if grep -q '^ninja: no work to do' "$log"; then
        step "preset $preset is built"
    else
        step "built preset $preset ($(nproc) jobs) in $(took "$start")"
    fi
}

build_quietly() (
    preset=$1 directory=$2
    shift 2
    cd "$ROOT" || exit 1
    # A build directory that was copied or moved here with its cache belongs to another tree.
    if [ -f "$directory/CMakeCache.txt" ] && ! grep -qxF "CMAKE_HOME_DIRECTORY:INTERNAL=$ROOT" "$directory/CMakeCache.txt"; then
        rm -rf "$directory"
    fi
    if [ ! -f "$directory/build.ninja" ]; then
        cmake --preset "$preset" -B "$directory" ${BUILD_BUG:+-DTIFFIN_BUG="$BUILD_BUG"} || exit 1
    fi
    ninja -C "$directory" -j"$(nproc)" "$@"
)

# Release binaries, and BIN: where they are.
build_release() {
    if [ -n "${TIFFIN_BIN:-}" ]; then
        BIN=$(realpath -- "$TIFFIN_BIN")
        return
    fi
    BIN=$ROOT/build/bin
    build release build || exit 1
}
