#!/usr/bin/env bash
# sqlx 0.9.0: a pool sends a ping after each use of a connection, even with `test_before_acquire(false)`.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/support/setup.bash"

rust_program 'tokio = { version = "=1.54.1", features = ["full"] }
sqlx = { version = "=0.9.0", default-features = false, features = ["postgres", "runtime-tokio"] }' '
use std::{sync::{Arc, Mutex}, time::Duration};

use sqlx::{Connection as _, Executor as _, PgConnection, postgres::PgPoolOptions};
use tokio::{io::{AsyncReadExt as _, AsyncWriteExt as _, copy}, net::{TcpListener, TcpStream}};

/// Types of the messages that clients sent after the start-up message.
type Sent = Arc<Mutex<Vec<char>>>;

async fn forward(client: TcpStream, server: String, sent: Sent) {
    let (mut from_server, mut to_server) = TcpStream::connect(server).await.unwrap().into_split();
    let (mut from_client, mut to_client) = client.into_split();
    tokio::spawn(async move { copy(&mut from_server, &mut to_client).await });
    let mut is_startup = true;
    loop {
        let mut head = vec![0; if is_startup { 4 } else { 5 }];
        if from_client.read_exact(&mut head).await.is_err() { return }
        let length = u32::from_be_bytes(head[head.len() - 4..].try_into().unwrap());
        if !is_startup { sent.lock().unwrap().push(head[0] as char) }
        let mut body = vec![0; length as usize - 4];
        from_client.read_exact(&mut body).await.unwrap();
        to_server.write_all(&[head, body].concat()).await.unwrap();
        is_startup = false;
    }
}

#[tokio::main]
async fn main() {
    let server = std::env::args().nth(1).unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("postgres://postgres@{}/postgres?sslmode=disable", listener.local_addr().unwrap());
    let sent = Sent::default();
    let recorded = sent.clone();
    tokio::spawn(async move {
        while let Ok((client, _)) = listener.accept().await {
            tokio::spawn(forward(client, server.clone(), recorded.clone()));
        }
    });
    let report = async |name: &str| {
        // A pool pings in the background.
        tokio::time::sleep(Duration::from_millis(500)).await;
        let sent = std::mem::take(&mut *sent.lock().unwrap());
        let count = |kind| sent.iter().filter(|sent| **sent == kind).count();
        println!("{name}: {} Query messages, {} Sync messages", count('\''Q'\''), count('\''S'\''));
    };

    let mut connection = PgConnection::connect(&url).await.unwrap();
    let pool = PgPoolOptions::new().max_connections(1).test_before_acquire(false).connect(&url).await.unwrap();
    pool.execute("SELECT 1").await.unwrap();
    tokio::time::sleep(Duration::from_millis(500)).await;
    sent.lock().unwrap().clear();
    for _ in 0..10 { connection.execute("SELECT 1").await.unwrap(); }
    report("10 statements on a connection").await;
    for _ in 0..10 { pool.execute("SELECT 1").await.unwrap(); }
    report("10 statements on a pool").await;
}'

echo 'sqlx 0.9.0:'
start_postgres
address=${postgres_url#*@}
run_rust_program "${address%/*}" | expect '10 statements on a connection: 10 Query messages, 0 Sync messages
10 statements on a pool: 10 Query messages, 10 Sync messages'
