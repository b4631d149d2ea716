#!/usr/bin/env bash
# tokio-postgres 0.7.18 and sqlx 0.9.0: `commit` returns Ok although Postgres rolled the transaction back.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/support/setup.bash"

rust_program 'tokio = { version = "=1.54.1", features = ["full"] }
tokio-postgres = "=0.7.18"
sqlx = { version = "=0.9.0", default-features = false, features = ["postgres", "runtime-tokio"] }' '
use sqlx::{Connection as _, Executor as _, Row as _};

#[tokio::main]
async fn main() {
    let url = std::env::args().nth(1).unwrap();

    let (mut client, connection) = tokio_postgres::connect(&url, tokio_postgres::NoTls).await.unwrap();
    tokio::spawn(connection);
    client.batch_execute("CREATE TEMP TABLE t (x int PRIMARY KEY)").await.unwrap();
    let transaction = client.transaction().await.unwrap();
    transaction.execute("INSERT INTO t VALUES (1)", &[]).await.unwrap();
    let failed = transaction.execute("INSERT INTO t VALUES (1)", &[]).await.is_err();
    let committed = transaction.commit().await;
    let rows: i64 = client.query_one("SELECT count(*) FROM t", &[]).await.unwrap().get(0);
    println!("tokio-postgres: second INSERT failed: {failed}, commit: {committed:?}, rows: {rows}");

    let mut connection = sqlx::PgConnection::connect(&url).await.unwrap();
    connection.execute("CREATE TEMP TABLE t (x int PRIMARY KEY)").await.unwrap();
    let mut transaction = connection.begin().await.unwrap();
    transaction.execute("INSERT INTO t VALUES (1)").await.unwrap();
    let failed = transaction.execute("INSERT INTO t VALUES (1)").await.is_err();
    let committed = transaction.commit().await;
    let rows: i64 = connection.fetch_one("SELECT count(*) FROM t").await.unwrap().get(0);
    println!("sqlx: second INSERT failed: {failed}, commit: {committed:?}, rows: {rows}");
}'

echo 'tokio-postgres 0.7.18, sqlx 0.9.0:'
start_postgres
run_rust_program "$postgres_url" | expect 'tokio-postgres: second INSERT failed: true, commit: Ok(()), rows: 0
sqlx: second INSERT failed: true, commit: Ok(()), rows: 0'
