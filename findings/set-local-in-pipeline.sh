#!/usr/bin/env bash
# Postgres 18.6, libpq 17.5: as the first statement of a pipeline without BEGIN, `SET LOCAL` warns that it can only be
# used in a transaction block, but it applies to the other statements of the pipeline and ends with them.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/support/setup.bash"

start_postgres
python3 -m pip install --quiet --target "$work/psycopg" 'psycopg[binary]==3.2.9' 2>/dev/null
cat >"$work/pipeline.py" <<'PYTHON'
import sys

import psycopg


def run(*statements):
    with psycopg.connect(sys.argv[1], autocommit=True) as connection:
        warnings = []
        connection.add_notice_handler(lambda notice: warnings.append(f"{notice.severity} {notice.message_primary}"))
        try:
            with connection.pipeline():
                for statement in statements:
                    result = connection.execute(statement)
            outcome = result.fetchone()[0] if result.description else "done"
        except psycopg.Error as error:
            outcome = f"{error.sqlstate} {error.diag.message_primary}"
        after = connection.execute("SELECT current_setting('hub.name', true)").fetchone()[0]
    print(f"{'; '.join(statements)}: {warnings} {outcome!r}, afterwards {after!r}")


READ = "SELECT current_setting('hub.name', true)"
run("SET LOCAL hub.name = 'ann'", READ)
run("SELECT 1", "SET LOCAL hub.name = 'ann'", READ)
run("SELECT set_config('hub.name', 'ann', true)", READ)
run("SELECT 1", "LOCK TABLE pg_type IN ACCESS SHARE MODE")
run("LOCK TABLE pg_type IN ACCESS SHARE MODE", "SELECT 1")
PYTHON
PYTHONPATH=$work/psycopg python3 "$work/pipeline.py" "$postgres_url" | expect \
"SET LOCAL hub.name = 'ann'; SELECT current_setting('hub.name', true): ['WARNING SET LOCAL can only be used in transaction blocks'] 'ann', afterwards ''
SELECT 1; SET LOCAL hub.name = 'ann'; SELECT current_setting('hub.name', true): [] 'ann', afterwards ''
SELECT set_config('hub.name', 'ann', true); SELECT current_setting('hub.name', true): [] 'ann', afterwards ''
SELECT 1; LOCK TABLE pg_type IN ACCESS SHARE MODE: [] 'done', afterwards None
LOCK TABLE pg_type IN ACCESS SHARE MODE; SELECT 1: [] '25P01 LOCK TABLE can only be used in transaction blocks', afterwards None"
