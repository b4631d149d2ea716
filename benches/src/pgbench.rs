//! The baseline: `pgbench` with the same SQL, prepared, over ten connections.

use std::{
    io::Write,
    process::Command,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail};

use crate::{load::Outcome, platform::Platform};

/// Measures the transactions per second of a script.
pub fn transactions_per_second(platform: &Platform, script: &str, length: Duration) -> Result<f64> {
    let text = run(platform, script, length, &[])?;
    text.lines()
        .find_map(|line| line.strip_prefix("tps = ")?.split_whitespace().next()?.parse().ok())
        .with_context(|| format!("pgbench printed no rate: {text}"))
}

/// Measures the latencies of a script at a given rate, from the time at which each transaction was due.
pub fn latencies(platform: &Platform, script: &str, length: Duration, per_second: f64) -> Result<Outcome> {
    let folder = tempfile::tempdir()?;
    let log = folder.path().join("log");
    let begin = Instant::now();
    let rate = format!("--rate={per_second:.0}");
    run(platform, script, length, &[&rate, "--log", &format!("--log-prefix={}", log.display())])?;
    let mut latencies = Vec::new();
    for file in std::fs::read_dir(folder.path())? {
        let text = std::fs::read_to_string(file?.path())?;
        // Fields: client, transaction, latency in µs, script, seconds, microseconds, lag. The latency includes the lag.
        latencies.extend(
            text.lines().filter_map(|line| line.split_whitespace().nth(2)?.parse().ok()).map(Duration::from_micros),
        );
    }
    Ok(Outcome::new(latencies, begin.elapsed()))
}

fn run(platform: &Platform, script: &str, length: Duration, options: &[&str]) -> Result<String> {
    let mut file = tempfile::NamedTempFile::new()?;
    writeln!(file, "{script}")?;
    let output = Command::new("pgbench")
        .args(["--no-vacuum", "--protocol=prepared", "--client=10", "--jobs=1"])
        .arg(format!("--time={}", length.as_secs().max(1)))
        .arg(format!("--file={}", file.path().display()))
        .args(["--host=127.0.0.1", "--username=atlashub"])
        .arg(format!("--port={}", platform.postgres_port))
        .args(options)
        .env("PGPASSWORD", &platform.postgres_password)
        .arg(platform.project_database())
        .output()
        .context("could not start pgbench; on Debian, install postgresql-contrib")?;
    if !output.status.success() {
        bail!("pgbench: {}", String::from_utf8_lossy(&output.stderr));
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}
