#!/usr/bin/env bash
# tokio-postgres 0.7.18: a row stream that is kept but not read blocks every other statement of the same client.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/support/setup.bash"

rust_program 'tokio = { version = "=1.54.1", features = ["full"] }
tokio-postgres = "=0.7.18"
futures-util = "=0.3.34"' '
use std::time::Duration;

use futures_util::TryStreamExt as _;
use tokio::time::timeout;

#[tokio::main]
async fn main() {
    let url = std::env::args().nth(1).unwrap();
    let (client, connection) = tokio_postgres::connect(&url, tokio_postgres::NoTls).await.unwrap();
    tokio::spawn(connection);
    let parameters: [&str; 0] = [];
    let rows = client.query_raw("SELECT generate_series(1, 1000000)", parameters).await.unwrap();
    let mut rows = Box::pin(rows);
    println!("first row: {}", rows.try_next().await.unwrap().unwrap().get::<_, i32>(0));
    let other = timeout(Duration::from_secs(3), client.query_one("SELECT 1", &[])).await;
    println!("another statement while the stream is kept: {}", if other.is_ok() { "done" } else { "no result in 3 s" });
    drop(rows);
    let other = timeout(Duration::from_secs(10), client.query_one("SELECT 1", &[])).await;
    println!("another statement after the stream was dropped: {}", if other.is_ok() { "done" } else { "no result" });
}'

echo 'tokio-postgres 0.7.18:'
start_postgres
run_rust_program "$postgres_url" | expect 'first row: 1
another statement while the stream is kept: no result in 3 s
another statement after the stream was dropped: done'
