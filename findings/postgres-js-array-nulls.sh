#!/usr/bin/env bash
# postgres 3.4.9 (npm): a null in an array arrives as the text NULL, NaN, false or an invalid date, depending on the
# type of the column. If a program writes back the texts that it read, a null becomes the text 'NULL' in the database.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/support/setup.bash"

start_postgres
npm install --silent --no-audit --no-fund --prefix "$work" postgres@3.4.9 pg@8.23.1
cat >"$work/arrays.mjs" <<'JAVASCRIPT'
import { inspect } from "node:util";
import pg from "pg";
import postgres from "postgres";

const sql = postgres(process.argv[2], { max: 1 });
const client = new pg.Client(process.argv[2]);
await client.connect();
for (const array of [
  "ARRAY['a', NULL, 'NULL']",
  "ARRAY[1, NULL]",
  "ARRAY[1.5, NULL]",
  "ARRAY[true, NULL]",
  "ARRAY[DATE '2026-01-31', NULL]",
  "'[0:1]={1,2}'::int[]",
]) {
  const query = `SELECT ${array} AS value`;
  const seen = [(await sql.unsafe(query))[0].value, (await client.query(query)).rows[0].value];
  console.log(`${array}: postgres ${inspect(seen[0])}, pg ${inspect(seen[1])}`);
}
const [{ value }] = await sql`SELECT ARRAY['a', NULL] AS value`;
const [{ stored }] = await sql`SELECT ${value}::text[]::text AS stored`;
console.log(`{a,NULL}, read and written back: ${stored}`);
await sql.end();
await client.end();
JAVASCRIPT

echo 'postgres 3.4.9, pg 8.23.1:'
TZ=UTC node "$work/arrays.mjs" "$postgres_url" | expect \
    "ARRAY['a', NULL, 'NULL']: postgres [ 'a', 'NULL', 'NULL' ], pg [ 'a', null, 'NULL' ]
ARRAY[1, NULL]: postgres [ 1, NaN ], pg [ 1, null ]
ARRAY[1.5, NULL]: postgres [ '1.5', 'NULL' ], pg [ 1.5, null ]
ARRAY[true, NULL]: postgres [ true, false ], pg [ true, null ]
ARRAY[DATE '2026-01-31', NULL]: postgres [ 2026-01-31T00:00:00.000Z, Invalid Date ], pg [ 2026-01-31T00:00:00.000Z, null ]
'[0:1]={1,2}'::int[]: postgres [ [ 1, 2 ] ], pg [ 1, 2 ]
{a,NULL}, read and written back: {a,\"NULL\"}"
