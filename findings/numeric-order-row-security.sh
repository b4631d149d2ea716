#!/usr/bin/env bash
# Postgres 18.6: with row-level security, an index on a `numeric` or enum column still sorts rows, but can't find the
# place where a page begins. Each page reads all rows before it. Pages by an integer, text or time don't.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/support/setup.bash"

start_postgres
python3 -m pip install --quiet --target "$work/psycopg" 'psycopg[binary]==3.2.9' 2>/dev/null
cat >"$work/pages.py" <<'PYTHON'
import sys

import psycopg

LAST = {"whole": "90000", "price": "90000", "name": "'090000'", "at": "to_timestamp(90000)", "state": "'late'"}

with psycopg.connect(sys.argv[1], autocommit=True) as connection:
    connection.execute("CREATE TYPE state AS ENUM ('early', 'late')")
    connection.execute("CREATE TABLE items (id int, whole int, price numeric, name text, at timestamptz, state state)")
    connection.execute(
        "INSERT INTO items SELECT n, n, n, lpad(n::text, 6, '0'), to_timestamp(n), "
        "CASE WHEN n <= 80000 THEN 'early' ELSE 'late' END::state FROM generate_series(1, 100000) AS n"
    )
    for column in LAST:
        connection.execute(f"CREATE INDEX ON items ({column}, id)")
    connection.execute("VACUUM ANALYZE items")
    connection.execute("CREATE ROLE app")
    connection.execute("GRANT SELECT ON items TO app")
    connection.execute("CREATE POLICY visible ON items TO app USING (id > 0)")
    for security in ["DISABLE", "ENABLE"]:
        connection.execute(f"ALTER TABLE items {security} ROW LEVEL SECURITY")
        connection.execute("SET ROLE app")
        for column, value in LAST.items():
            plan = connection.execute(
                f"EXPLAIN (ANALYZE, FORMAT JSON) SELECT * FROM items WHERE ({column}, id) > ({value}, 90000) "
                f"ORDER BY {column}, id LIMIT 10"
            ).fetchone()[0][0]["Plan"]["Plans"][0]
            skipped = plan.get("Rows Removed by Filter", 0)
            print(f"{security} ROW LEVEL SECURITY, {column}: {plan['Node Type']}, {skipped} rows read and skipped")
        connection.execute("RESET ROLE")
PYTHON
PYTHONPATH=$work/psycopg python3 "$work/pages.py" "$postgres_url" | expect \
"DISABLE ROW LEVEL SECURITY, whole: Index Scan, 0 rows read and skipped
DISABLE ROW LEVEL SECURITY, price: Index Scan, 0 rows read and skipped
DISABLE ROW LEVEL SECURITY, name: Index Scan, 0 rows read and skipped
DISABLE ROW LEVEL SECURITY, at: Index Scan, 0 rows read and skipped
DISABLE ROW LEVEL SECURITY, state: Index Scan, 0 rows read and skipped
ENABLE ROW LEVEL SECURITY, whole: Index Scan, 0 rows read and skipped
ENABLE ROW LEVEL SECURITY, price: Index Scan, 90000 rows read and skipped
ENABLE ROW LEVEL SECURITY, name: Index Scan, 0 rows read and skipped
ENABLE ROW LEVEL SECURITY, at: Index Scan, 0 rows read and skipped
ENABLE ROW LEVEL SECURITY, state: Index Scan, 90000 rows read and skipped"
