#!/usr/bin/env bash
# Postgres 18.6: after `ALTER DOMAIN … DROP CONSTRAINT`, a savepoint makes the next change of the schema in the same
# transaction fail with an internal error, unless another change comes between. Constraints of tables are not affected.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/support/setup.bash"

start_postgres
python3 -m pip install --quiet --target "$work/psycopg" 'psycopg[binary]==3.2.9' 2>/dev/null
cat >"$work/savepoint.py" <<'PYTHON'
import sys

import psycopg

DROP = "ALTER DOMAIN d DROP CONSTRAINT filled"
ADD = "ALTER DOMAIN d ADD CONSTRAINT filled CHECK (value <> '')"
SAVEPOINT = "SAVEPOINT s"
CASES = {
    "drop, savepoint, add": [DROP, SAVEPOINT, ADD],
    "drop, savepoint, create a table": [DROP, SAVEPOINT, "CREATE TABLE other (x int)"],
    "drop, query, savepoint, add": [DROP, "SELECT 1", SAVEPOINT, ADD],
    "drop, create a table, savepoint, add": [DROP, "CREATE TABLE other (x int)", SAVEPOINT, ADD],
    "drop, add": [DROP, ADD],
    "the same with a table": [
        "ALTER TABLE t DROP CONSTRAINT filled",
        SAVEPOINT,
        "ALTER TABLE t ADD CONSTRAINT filled CHECK (x <> '')",
    ],
}
with psycopg.connect(sys.argv[1], autocommit=True) as connection:
    connection.execute("CREATE DOMAIN d AS text CONSTRAINT filled CHECK (value <> '')")
    connection.execute("CREATE TABLE t (x text CONSTRAINT filled CHECK (x <> ''))")
    for name, statements in CASES.items():
        connection.execute("BEGIN")
        try:
            for statement in statements:
                connection.execute(statement)
            outcome = "works"
        except psycopg.Error as error:
            outcome = f"{error.sqlstate} {error.diag.message_primary}"
        connection.execute("ROLLBACK")
        print(f"{name}: {outcome}")
PYTHON
PYTHONPATH=$work/psycopg python3 "$work/savepoint.py" "$postgres_url" | expect \
    'drop, savepoint, add: XX000 cannot start a subtransaction when there are unprocessed inval messages
drop, savepoint, create a table: XX000 cannot start a subtransaction when there are unprocessed inval messages
drop, query, savepoint, add: XX000 cannot start a subtransaction when there are unprocessed inval messages
drop, create a table, savepoint, add: works
drop, add: works
the same with a table: works'
