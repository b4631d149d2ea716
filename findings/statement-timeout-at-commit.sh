#!/usr/bin/env bash
# Postgres 18.6: `statement_timeout` doesn't limit COMMIT, nor the commit of a single statement, so deferred triggers
# run without a limit. `SET CONSTRAINTS ALL IMMEDIATE` runs them before COMMIT, under the limit. `transaction_timeout`
# and a cancel request also end them during COMMIT.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/support/setup.bash"

start_postgres
python3 -m pip install --quiet --target "$work/psycopg" 'psycopg[binary]==3.2.9' 2>/dev/null
cat >"$work/commit.py" <<'PYTHON'
"""Inserts rows whose deferred trigger takes 1.5 seconds, with limits of 0.3 seconds."""
import sys
import threading
import time

import psycopg

url = sys.argv[1]
with psycopg.connect(url, autocommit=True) as connection:
    connection.execute("CREATE TABLE items (id int)")
    connection.execute(
        "CREATE FUNCTION check_slowly() RETURNS trigger LANGUAGE plpgsql AS "
        "$$BEGIN PERFORM pg_sleep(1.5); RETURN NULL; END$$"
    )
    connection.execute(
        "CREATE CONSTRAINT TRIGGER slow AFTER INSERT ON items DEFERRABLE INITIALLY DEFERRED "
        "FOR EACH ROW EXECUTE FUNCTION check_slowly()"
    )


def run(setting, statements, cancel=False):
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(f"SET {setting} = '300ms'")
        for statement in statements:
            timer = threading.Timer(0.3, connection.cancel_safe)
            if cancel and statement == "COMMIT":
                timer.start()
            started = time.monotonic()
            try:
                connection.execute(statement)
                outcome = "succeeds"
            except psycopg.Error as error:
                outcome = f"fails with {error.sqlstate}, {error.diag.message_primary}"
            timer.cancel()
            seconds = "more than a second" if time.monotonic() - started > 1 else "less than a second"
    print(f"{setting}, {'; '.join(statements)}{', cancelled' if cancel else ''}: {outcome} after {seconds}")


INSERT = "INSERT INTO items VALUES (1)"
run("statement_timeout", ["SELECT pg_sleep(1.5)"])
run("statement_timeout", [INSERT])
run("statement_timeout", ["BEGIN", INSERT, "COMMIT"])
run("statement_timeout", ["BEGIN", INSERT, "SET CONSTRAINTS ALL IMMEDIATE"])
run("transaction_timeout", ["BEGIN", INSERT, "COMMIT"])
run("statement_timeout", ["BEGIN", INSERT, "COMMIT"], cancel=True)
with psycopg.connect(url, autocommit=True) as connection:
    print("rows:", connection.execute("SELECT count(*) FROM items").fetchone()[0])
PYTHON
PYTHONPATH=$work/psycopg python3 "$work/commit.py" "$postgres_url" | expect \
"statement_timeout, SELECT pg_sleep(1.5): fails with 57014, canceling statement due to statement timeout after less than a second
statement_timeout, INSERT INTO items VALUES (1): succeeds after more than a second
statement_timeout, BEGIN; INSERT INTO items VALUES (1); COMMIT: succeeds after more than a second
statement_timeout, BEGIN; INSERT INTO items VALUES (1); SET CONSTRAINTS ALL IMMEDIATE: fails with 57014, canceling statement due to statement timeout after less than a second
transaction_timeout, BEGIN; INSERT INTO items VALUES (1); COMMIT: fails with 25P04, terminating connection due to transaction timeout after less than a second
statement_timeout, BEGIN; INSERT INTO items VALUES (1); COMMIT, cancelled: fails with 57014, canceling statement due to user request after less than a second
rows: 2"
