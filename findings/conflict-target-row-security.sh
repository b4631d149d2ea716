#!/usr/bin/env bash
# Postgres 18.6: with row-level security, `INSERT … ON CONFLICT (id) DO NOTHING` is refused if the new row would be
# hidden from the role that inserts it, even if nothing conflicts. Without `(id)`, the same row is inserted.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/support/setup.bash"

start_postgres
python3 -m pip install --quiet --target "$work/psycopg" 'psycopg[binary]==3.2.9' 2>/dev/null
cat >"$work/inserts.py" <<'PYTHON'
import sys

import psycopg

SETUP = """
CREATE TABLE messages (id int PRIMARY KEY, sender text, recipient text);
ALTER TABLE messages ENABLE ROW LEVEL SECURITY;
CREATE ROLE app;
GRANT SELECT, INSERT ON messages TO app;
CREATE POLICY send ON messages FOR INSERT TO app WITH CHECK (sender = 'me');
CREATE POLICY receive ON messages FOR SELECT TO app USING (recipient = 'me');
SET ROLE app;
"""
ROW = "INSERT INTO messages VALUES (%s, 'me', 'you')"
with psycopg.connect(sys.argv[1], autocommit=True) as connection:
    connection.execute(SETUP)
    for id, clause in enumerate(
        [
            "",
            "ON CONFLICT DO NOTHING",
            "RETURNING 'sent'",
            "ON CONFLICT (id) DO NOTHING",
            "ON CONFLICT ON CONSTRAINT messages_pkey DO NOTHING",
            "ON CONFLICT (id) DO NOTHING RETURNING 'sent'",
        ]
    ):
        try:
            inserted = connection.execute(f"{ROW} {clause}", [id]).rowcount
            print(f"{clause or 'plain INSERT'}: {inserted} row inserted")
        except psycopg.Error as error:
            print(f"{clause}: {error.sqlstate} {error.diag.message_primary}")
    merge = (
        "MERGE INTO messages USING (VALUES (7)) AS new (id) ON messages.id = new.id "
        "WHEN NOT MATCHED THEN INSERT VALUES (7, 'me', 'you')"
    )
    print(f"MERGE … WHEN NOT MATCHED: {connection.execute(merge).rowcount} row inserted")
PYTHON

echo 'A role that may insert a row that it cannot see:'
PYTHONPATH=$work/psycopg python3 "$work/inserts.py" "$postgres_url" | expect \
    "plain INSERT: 1 row inserted
ON CONFLICT DO NOTHING: 1 row inserted
RETURNING 'sent': 1 row inserted
ON CONFLICT (id) DO NOTHING: 42501 new row violates row-level security policy for table \"messages\"
ON CONFLICT ON CONSTRAINT messages_pkey DO NOTHING: 42501 new row violates row-level security policy for table \"messages\"
ON CONFLICT (id) DO NOTHING RETURNING 'sent': 42501 new row violates row-level security policy for table \"messages\"
MERGE … WHEN NOT MATCHED: 1 row inserted"
