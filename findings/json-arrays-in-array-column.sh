#!/usr/bin/env bash
# Postgres 18.6: `json_to_record` takes a JSON array in an array of type `jsonb[]` for another dimension of that array.
# So it doesn't accept what `row_to_json` returns, or stores something else, without an error.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/support/setup.bash"

start_postgres
python3 -m pip install --quiet --target "$work/psycopg" 'psycopg[binary]==3.2.9' 2>/dev/null
cat >"$work/arrays.py" <<'PYTHON'
import sys

import psycopg

with psycopg.connect(sys.argv[1], autocommit=True) as connection:

    def show(*elements):
        array = "ARRAY[" + ", ".join(f"'{element}'::jsonb" for element in elements) + "]"
        json = connection.execute(f"SELECT row_to_json(r)::text FROM (SELECT {array} AS v) AS r").fetchone()[0]
        size = "coalesce(array_dims({}), 'empty')"
        try:
            back, dims = connection.execute(
                f"SELECT v::text, {size.format('v')} FROM json_to_record(%s) AS r (v jsonb[])", [json]
            ).fetchone()
            outcome = f"{back} {dims}"
        except psycopg.Error as error:
            outcome = f"{error.sqlstate} {error.diag.message_primary}"
        before, dims = connection.execute(f"SELECT {array}::text, {size.format(array)}").fetchone()
        print(f"{before} {dims} -> {json} -> {outcome}")

    show('{"a": 1}', "[3]")
    show("[1, 2]")
    show("[1, 2]", "[3]")
    show("[]")
    show("[]", "[]")
    show("null")
PYTHON
PYTHONPATH=$work/psycopg python3 "$work/arrays.py" "$postgres_url" | expect \
'{"{\"a\": 1}",[3]} [1:2] -> {"v":[{"a": 1},[3]]} -> {"{\"a\": 1}",[3]} [1:2]
{"[1, 2]"} [1:1] -> {"v":[[1, 2]]} -> {{1,2}} [1:1][1:2]
{"[1, 2]",[3]} [1:2] -> {"v":[[1, 2],[3]]} -> 22P02 malformed JSON array
{[]} [1:1] -> {"v":[[]]} -> {} empty
{[],[]} [1:2] -> {"v":[[],[]]} -> {} empty
{"null"} [1:1] -> {"v":[null]} -> {NULL} [1:1]'
