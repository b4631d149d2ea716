#!/usr/bin/env bash
# tokio-postgres 0.7.18: `connect_timeout` only limits opening the TCP connection. In libpq it covers the login too.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/support/setup.bash"

rust_program 'tokio = { version = "=1.54.1", features = ["full"] }
tokio-postgres = "=0.7.18"' '
use std::time::Duration;

#[tokio::main]
async fn main() {
    let port = std::env::args().nth(1).unwrap().parse().unwrap();
    let mut config = tokio_postgres::Config::new();
    config.host("127.0.0.1").port(port).user("u").dbname("d").connect_timeout(Duration::from_secs(2));
    let connecting = config.connect(tokio_postgres::NoTls);
    match tokio::time::timeout(Duration::from_secs(10), connecting).await {
        Ok(_) => println!("tokio-postgres, connect_timeout of 2 s: failed within 10 s"),
        Err(_) => println!("tokio-postgres, connect_timeout of 2 s: still connecting after 10 s"),
    }
}'
python3 -m pip install --quiet --target "$work/psycopg" 'psycopg[binary]==3.2.9' 2>/dev/null
cat >"$work/silent.py" <<'PYTHON'
"""Accepts connections and never responds, while a command runs."""
import os, socket, subprocess, sys, time

server = socket.create_server(("127.0.0.1", 0))
port = server.getsockname()[1]
subprocess.run([sys.argv[1], str(port)], check=True)
import psycopg

start = time.monotonic()
try:
    psycopg.connect(f"host=127.0.0.1 port={port} user=u dbname=d connect_timeout=2")
except psycopg.OperationalError:
    print("libpq, connect_timeout of 2 s:", "failed within 10 s" if time.monotonic() - start < 10 else "failed later")
PYTHON

echo 'tokio-postgres 0.7.18, psycopg 3.2.9 (libpq), a server that accepts connections and sends nothing:'
PYTHONPATH=$work/psycopg python3 "$work/silent.py" "$program" | expect 'tokio-postgres, connect_timeout of 2 s: still connecting after 10 s
libpq, connect_timeout of 2 s: failed within 10 s'
