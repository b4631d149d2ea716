//! The floor: the same SQL without us, prepared, ten connections.

use std::{io::Write, process::Command, time::Duration};

use anyhow::{Context, Result, bail};

use crate::platform::Platform;

/// Transactions per second of a script.
pub fn transactions_per_second(platform: &Platform, script: &str, length: Duration) -> Result<f64> {
    let mut file = tempfile::NamedTempFile::new()?;
    writeln!(file, "{script}")?;
    let database = platform.project_database();
    let output = Command::new("pgbench")
        .args(["--no-vacuum", "--protocol=prepared", "--client=10", "--jobs=1"])
        .arg(format!("--time={}", length.as_secs().max(1)))
        .arg(format!("--file={}", file.path().display()))
        .args(["--host=127.0.0.1", "--username=atlashub"])
        .arg(format!("--port={}", platform.postgres_port))
        .env("PGPASSWORD", &platform.postgres_password)
        .arg(database)
        .output()
        .context("pgbench is needed; on Debian it is in postgresql-contrib")?;
    let text = String::from_utf8_lossy(&output.stdout);
    if !output.status.success() {
        bail!("pgbench: {}", String::from_utf8_lossy(&output.stderr));
    }
    text.lines()
        .find_map(|line| line.strip_prefix("tps = ")?.split_whitespace().next()?.parse().ok())
        .with_context(|| format!("pgbench printed no rate: {text}"))
}
