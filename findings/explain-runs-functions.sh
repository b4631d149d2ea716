#!/usr/bin/env bash
# Postgres 18.6: EXPLAIN without ANALYZE calls a function that is declared IMMUTABLE, if its arguments are constants. If
# that function calls a volatile one that writes, the row is committed. In a read-only transaction, EXPLAIN of an INSERT
# works, and only the function that writes is refused.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/support/setup.bash"

start_postgres
python3 -m pip install --quiet --target "$work/psycopg" 'psycopg[binary]==3.2.9' 2>/dev/null
cat >"$work/explain.py" <<'PYTHON'
import sys

import psycopg

with psycopg.connect(sys.argv[1], autocommit=True) as connection:
    connection.execute("CREATE TABLE log (entry text)")
    connection.execute(
        "CREATE FUNCTION note() RETURNS void LANGUAGE sql VOLATILE AS $$INSERT INTO log VALUES ('called')$$"
    )
    connection.execute(
        "CREATE FUNCTION tax(price int) RETURNS int LANGUAGE plpgsql IMMUTABLE AS "
        "$$BEGIN PERFORM note(); RETURN price * 2; END$$"
    )
    plan = connection.execute("EXPLAIN (COSTS OFF) SELECT tax(1)").fetchall()
    rows = connection.execute("SELECT count(*) FROM log").fetchone()[0]
    print(f"after EXPLAIN SELECT tax(1): {len(plan)} line of plan, {rows} row written")
    connection.execute("SET default_transaction_read_only = on")
    for statement in ["INSERT INTO log VALUES ('x')", "SELECT tax(1)"]:
        try:
            connection.execute("EXPLAIN " + statement)
            print(f"read-only: EXPLAIN {statement}: works")
        except psycopg.Error as error:
            print(f"read-only: EXPLAIN {statement}: {error.sqlstate} {error.diag.message_primary}")
PYTHON
PYTHONPATH=$work/psycopg python3 "$work/explain.py" "$postgres_url" | expect \
    "after EXPLAIN SELECT tax(1): 1 line of plan, 1 row written
read-only: EXPLAIN INSERT INTO log VALUES ('x'): works
read-only: EXPLAIN SELECT tax(1): 25006 cannot execute INSERT in a read-only transaction"
