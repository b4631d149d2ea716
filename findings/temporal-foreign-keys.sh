#!/usr/bin/env bash
# Postgres 18.6: a foreign key with PERIOD looks like any other in the information schema, but a join of its columns
# finds no row. A primary key WITHOUT OVERLAPS can't be the target of ON CONFLICT.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/support/setup.bash"

start_postgres
python3 -m pip install --quiet --target "$work/psycopg" 'psycopg[binary]==3.2.9' 2>/dev/null
cat >"$work/temporal.py" <<'PYTHON'
import sys

import psycopg

SETUP = """
CREATE EXTENSION btree_gist;
CREATE TABLE prices (item int, valid daterange, price int, PRIMARY KEY (item, valid WITHOUT OVERLAPS));
CREATE TABLE orders (
    id int PRIMARY KEY, item int, valid daterange,
    FOREIGN KEY (item, PERIOD valid) REFERENCES prices (item, PERIOD valid)
);
INSERT INTO prices VALUES (1, '[2025-01-01,2026-01-01)', 10), (1, '[2026-01-01,2027-01-01)', 12);
INSERT INTO orders VALUES (7, 1, '[2025-12-01,2026-02-01)');
"""
KEYS = """
SELECT u.table_name, c.constraint_type, string_agg(u.column_name, ', ' ORDER BY u.ordinal_position),
    string_agg(r.table_name || '.' || r.column_name, ', ' ORDER BY u.ordinal_position)
FROM information_schema.table_constraints c
JOIN information_schema.key_column_usage u USING (constraint_name)
LEFT JOIN information_schema.referential_constraints f USING (constraint_name)
LEFT JOIN information_schema.key_column_usage r
    ON r.constraint_name = f.unique_constraint_name AND r.ordinal_position = u.position_in_unique_constraint
WHERE c.table_schema = 'public' AND u.column_name <> 'id'
GROUP BY 1, 2 ORDER BY 1
"""
ROW = "INSERT INTO prices VALUES (1, '[2026-01-01,2027-01-01)', 15) ON CONFLICT (item, valid) "

with psycopg.connect(sys.argv[1], autocommit=True) as connection:
    connection.execute(SETUP)
    for table, kind, columns, referenced in connection.execute(KEYS):
        print(f"{table}: {kind} ({columns})" + (f" REFERENCES {referenced}" if referenced else ""))
    for operator in ["=", "&&"]:
        query = f"SELECT price FROM orders o JOIN prices p ON p.item = o.item AND p.valid {operator} o.valid ORDER BY 1"
        print(f"order 7, joined by p.valid {operator} o.valid: {[price for (price,) in connection.execute(query)]}")
    for action in ["DO NOTHING", "DO UPDATE SET price = excluded.price"]:
        try:
            connection.execute(ROW + action)
            print(f"ON CONFLICT (item, valid) {action}: works")
        except psycopg.Error as error:
            print(f"ON CONFLICT (item, valid) {action}: {error.sqlstate} {error.diag.message_primary}")
PYTHON

echo 'information_schema, joins and conflicts:'
PYTHONPATH=$work/psycopg python3 "$work/temporal.py" "$postgres_url" | expect \
    'orders: FOREIGN KEY (item, valid) REFERENCES prices.item, prices.valid
prices: PRIMARY KEY (item, valid)
order 7, joined by p.valid = o.valid: []
order 7, joined by p.valid && o.valid: [10, 12]
ON CONFLICT (item, valid) DO NOTHING: 42P10 there is no unique or exclusion constraint matching the ON CONFLICT specification
ON CONFLICT (item, valid) DO UPDATE SET price = excluded.price: 42P10 there is no unique or exclusion constraint matching the ON CONFLICT specification'
