#!/usr/bin/env bash
# tokio-postgres 0.7.18: if Postgres refuses a COPY before it reads the first row, the connection can no longer be
# used, because each request gets the response to the request before it. A refused row does no harm.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/support/setup.bash"

rust_program 'tokio = { version = "=1.54.1", features = ["full"] }
tokio-postgres = "=0.7.18"
futures-util = { version = "=0.3.34", features = ["sink"] }
bytes = "=1.12.1"' '
use bytes::Bytes;
use futures_util::SinkExt as _;
use tokio_postgres::{Client, NoTls};

async fn copy(client: &Client, statement: &str, row: &'"'"'static str) -> String {
    let sink = client.copy_in::<_, Bytes>(statement).await.unwrap();
    tokio::pin!(sink);
    let _ = sink.send(Bytes::from(row)).await;
    match sink.finish().await {
        Ok(rows) => format!("{rows} rows"),
        Err(error) => error.as_db_error().map_or(error.to_string(), |error| error.message().to_owned()),
    }
}

#[tokio::main]
async fn main() {
    let url = std::env::args().nth(1).unwrap();
    for (statement, row) in [("COPY t FROM STDIN", "no number\n"), ("COPY v FROM STDIN", "1\n")] {
        let (client, connection) = tokio_postgres::connect(&url, NoTls).await.unwrap();
        tokio::spawn(connection);
        client.batch_execute("CREATE TEMP TABLE t (x int); CREATE TEMP VIEW v AS SELECT 1 AS x").await.unwrap();
        println!("{statement}: {}", copy(&client, statement, row).await);
        for number in 1..=2 {
            match client.query_one(&format!("SELECT {number}"), &[]).await {
                Ok(row) => println!("  SELECT {number}: {}", row.get::<_, i32>(0)),
                Err(error) => println!("  SELECT {number}: {error}"),
            }
        }
        println!("  the client is closed: {}", client.is_closed());
    }
}'

echo 'tokio-postgres 0.7.18:'
start_postgres
run_rust_program "$postgres_url" | expect 'COPY t FROM STDIN: invalid input syntax for type integer: "no number"
  SELECT 1: 1
  SELECT 2: 2
  the client is closed: false
COPY v FROM STDIN: cannot copy to view "v"
  SELECT 1: unexpected message from server
  SELECT 2: unexpected message from server
  the client is closed: false'
