#!/usr/bin/env bash
# psycopg 3.3.9 and pg 8.23.1 (npm): an infinite interval, which Postgres has since version 17, is read as an empty one,
# without an error. Written back, it is zero. Psycopg's binary format reports an error.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/support/setup.bash"

start_postgres
python3 -m pip install --quiet --target "$work/python" 'psycopg[binary]==3.3.9' 2>/dev/null
npm install --silent --no-audit --no-fund --prefix "$work" pg@8.23.1
cat >"$work/intervals.py" <<'PYTHON'
import sys

import psycopg

QUERY = "SELECT expires - TIMESTAMP '2026-01-31' FROM licenses ORDER BY expires"

with psycopg.connect(sys.argv[1], autocommit=True) as connection:
    connection.execute("CREATE TABLE licenses (expires timestamp)")
    connection.execute("INSERT INTO licenses VALUES ('2026-02-03'), ('infinity')")
    for name, binary in [("psycopg", False), ("psycopg, binary format", True)]:
        try:
            print(f"{name}: {[str(value) for (value,) in connection.cursor(binary=binary).execute(QUERY)]}")
        except psycopg.DataError as error:
            print(f"{name}: {type(error).__name__}")
    read = connection.execute("SELECT interval 'infinity'").fetchone()[0]
    written = connection.execute("SELECT %s::interval::text", [read]).fetchone()[0]
    print(f"psycopg, infinity written back: {written}")
PYTHON
cat >"$work/intervals.mjs" <<'JAVASCRIPT'
import pg from "pg";

const client = new pg.Client(process.argv[2]);
await client.connect();
const query = "SELECT expires - TIMESTAMP '2026-01-31' AS left FROM licenses ORDER BY expires";
const { rows } = await client.query(query);
console.log(`pg: ${JSON.stringify(rows.map((row) => row.left))}`);
const written = await client.query("SELECT $1::interval::text AS text", [rows[1].left]);
console.log(`pg, infinity written back: ${written.rows[0].text}`);
await client.end();
JAVASCRIPT

echo 'psycopg 3.3.9, pg 8.23.1:'
{
    PYTHONPATH=$work/python python3 "$work/intervals.py" "$postgres_url"
    node "$work/intervals.mjs" "$postgres_url"
} | expect "psycopg: ['3 days, 0:00:00', '0:00:00']
psycopg, binary format: DataError
psycopg, infinity written back: 00:00:00
pg: [{\"days\":3},{}]
pg, infinity written back: 00:00:00"
