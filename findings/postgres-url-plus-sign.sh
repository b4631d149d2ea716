#!/usr/bin/env bash
# sqlx 0.9.0 decodes `+` in the query of a Postgres URL as a space. libpq and tokio-postgres 0.7.18 keep it.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/support/setup.bash"

rust_program 'tokio-postgres = "=0.7.18"
sqlx = { version = "=0.9.0", default-features = false, features = ["postgres", "runtime-tokio"] }' '
fn main() {
    let url = "postgres://localhost/d?user=a+b";
    let options: sqlx::postgres::PgConnectOptions = url.parse().unwrap();
    println!("sqlx: `{}`", options.get_username());
    let config: tokio_postgres::Config = url.parse().unwrap();
    println!("tokio-postgres: `{}`", config.get_user().unwrap());
}'
python3 -m pip install --quiet --target "$work/psycopg" 'psycopg[binary]==3.2.9' 2>/dev/null

echo 'The user in postgres://localhost/d?user=a+b by sqlx 0.9.0, tokio-postgres 0.7.18 and psycopg 3.2.9 (libpq):'
{
    run_rust_program
    PYTHONPATH=$work/psycopg python3 -c 'from psycopg.conninfo import conninfo_to_dict
print("libpq: `%s`" % conninfo_to_dict("postgres://localhost/d?user=a+b")["user"])'
} | expect 'sqlx: `a b`
tokio-postgres: `a+b`
libpq: `a+b`'
