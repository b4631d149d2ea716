#!/usr/bin/env bash
# sqlx 0.9.0: after a failed migration, the pooled connection keeps the migrator's session lock.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/support/setup.bash"

rust_program 'tokio = { version = "=1.54.1", features = ["full"] }
sqlx = { version = "=0.9.0", default-features = false, features = ["postgres", "runtime-tokio", "migrate"] }' '
use std::{path::Path, time::Duration};

use sqlx::{Connection as _, PgConnection, PgPool, migrate::Migrator};

#[tokio::main]
async fn main() {
    let url = std::env::args().nth(1).unwrap();
    let folder = std::env::args().nth(2).unwrap();
    let migrator = Migrator::new(Path::new(&folder)).await.unwrap();
    let pool = PgPool::connect(&url).await.unwrap();
    println!("migration failed: {}", migrator.run(&pool).await.is_err());

    let mut observer = PgConnection::connect(&url).await.unwrap();
    let locks = "SELECT count(*) FROM pg_locks WHERE locktype = $1 AND granted";
    let locks: i64 = sqlx::query_scalar(locks).bind("advisory").fetch_one(&mut observer).await.unwrap();
    println!("advisory locks held afterwards: {locks}");

    let other = PgPool::connect(&url).await.unwrap();
    let waited = tokio::time::timeout(Duration::from_secs(3), migrator.run(&other)).await;
    println!("migrating from another pool: {}", if waited.is_err() { "waits" } else { "returns" });
}'
mkdir "$work/migrations"
echo 'SELECT no_such_function()' >"$work/migrations/1_fails.sql"

echo 'sqlx 0.9.0:'
start_postgres
run_rust_program "$postgres_url" "$work/migrations" | expect 'migration failed: true
advisory locks held afterwards: 1
migrating from another pool: waits'
