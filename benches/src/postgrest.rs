//! Runs PostgREST, with which AtlasHub is compared, on the same database with the same privileges.

use std::{
    net::SocketAddr,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail};

use crate::platform::{Platform, client, free_address};

/// A running PostgREST.
pub struct Postgrest {
    child: Child,
    address: SocketAddr,
}

impl Postgrest {
    pub fn address(&self) -> SocketAddr {
        self.address
    }
}

impl Drop for Postgrest {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Starts the binary in `ATLASHUB_BENCH_POSTGREST_BIN`. Returns `None` if the variable is not set.
pub async fn start(platform: &Platform) -> Result<Option<Postgrest>> {
    let Ok(binary) = std::env::var("ATLASHUB_BENCH_POSTGREST_BIN") else { return Ok(None) };
    let address = free_address()?;
    let uri = format!(
        "postgres://atlashub:{}@127.0.0.1:{}/{}",
        platform.postgres_password,
        platform.postgres_port,
        platform.project_database()
    );
    let child = Command::new(binary)
        .env_clear()
        .env("PGRST_DB_URI", uri)
        .env("PGRST_DB_SCHEMAS", "public")
        .env("PGRST_DB_ANON_ROLE", platform.app_role())
        .env("PGRST_DB_POOL", "10")
        .env("PGRST_LOG_LEVEL", "crit")
        .env("PGRST_SERVER_HOST", "127.0.0.1")
        .env("PGRST_SERVER_PORT", address.port().to_string())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .context("could not start PostgREST")?;
    let peer = Postgrest { child, address };
    let deadline = Instant::now() + Duration::from_secs(20);
    let client = client()?;
    let is_ready = async || {
        let response = client.get(format!("http://{address}/items?limit=1")).send().await;
        response.is_ok_and(|response| response.status().is_success())
    };
    while !is_ready().await {
        if Instant::now() > deadline {
            bail!("PostgREST did not become ready within 20 s");
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    Ok(Some(peer))
}
