//! Compares the restore of a backup of 1 GB with `pg_restore` of the same archive from a local file, and measures how
//! long requests wait during the restore and its swap.

use std::{
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use anyhow::{Context, Result, ensure};
use futures_util::StreamExt as _;
use serde_json::json;
use tokio::io::AsyncWriteExt as _;

use crate::{
    backup::{postgres_program, psql},
    platform::{Platform, client},
    runs,
};

const BASELINE_DATABASE: &str = "restore_baseline";
/// Time between two requests while a restore runs.
const PROBE_INTERVAL: Duration = Duration::from_millis(5);
/// Number of times that `pg_restore` and the restore are measured, in turn.
const REPETITIONS: usize = 2;

/// Results of the bench. Times are the faster of two measurements.
pub struct Figures {
    pub archive_bytes: u64,
    pub pg_restore: Duration,
    /// Time from the confirmation to the end of the run.
    pub restore: Duration,
    /// Largest growth of the process's memory during a timed restore, in KiB.
    pub growth_kib: u64,
    /// Longest time from a request for a row to its response, during a restore that is not timed.
    pub longest_wait: Duration,
    /// Number of requests during that restore.
    pub requests: u64,
    /// Number of these requests whose response was an error.
    pub refused: u64,
}

/// Restores the newest backup of the project, which the bench `backup` has created.
pub async fn measure(platform: &Platform) -> Result<Figures> {
    let folder = tempfile::tempdir()?;
    let archive = folder.path().join("archive.dump");
    let path = format!("/admin/v1/backups?target=project:{}&limit=1", platform.project_id());
    let backup = platform.admin_get(&path).await?["items"][0].clone();
    let backup = backup["id"].as_str().context("the project has no backup")?.to_owned();
    let archive_bytes = download(platform, &backup, &archive).await?;
    let mut figures = Figures {
        archive_bytes,
        pg_restore: Duration::MAX,
        restore: Duration::MAX,
        growth_kib: 0,
        longest_wait: Duration::ZERO,
        requests: 0,
        refused: 0,
    };
    for _ in 0..REPETITIONS {
        figures.pg_restore = figures.pg_restore.min(pg_restore(platform, &archive).await?);
        let before = platform.reset_peak_memory_kib()?;
        figures.restore = figures.restore.min(restore(platform, &backup).await?);
        figures.growth_kib = figures.growth_kib.max(platform.peak_memory_kib()?.saturating_sub(before));
    }
    // The requests are sent during another restore, which is not timed, because they take processor time from the
    // restore.
    let probe = Probe::start(platform)?;
    restore(platform, &backup).await?;
    let waits = probe.stop().await?;
    figures.longest_wait = waits.longest;
    figures.requests = waits.requests;
    figures.refused = waits.refused;
    Ok(figures)
}

async fn download(platform: &Platform, backup: &str, file: &Path) -> Result<u64> {
    let signed = platform.admin_post(&format!("/admin/v1/backups/{backup}/download"), &json!({})).await?;
    let url = signed["downloadUrl"].as_str().context("the response has no URL")?;
    let mut stream = client()?.get(url).send().await?.error_for_status()?.bytes_stream();
    let mut output = tokio::fs::File::create(file).await?;
    while let Some(chunk) = stream.next().await {
        output.write_all(&chunk?).await?;
    }
    output.sync_all().await?;
    Ok(output.metadata().await?.len())
}

async fn pg_restore(platform: &Platform, archive: &Path) -> Result<Duration> {
    psql(platform, "platform", &format!("CREATE DATABASE {BASELINE_DATABASE}")).await?;
    psql(platform, "platform", "CHECKPOINT").await?;
    let begin = Instant::now();
    let output = postgres_program(platform, "pg_restore")
        .args(["--no-owner", "--no-privileges", "--dbname", BASELINE_DATABASE])
        .arg(archive)
        .output()
        .await?;
    let elapsed = begin.elapsed();
    ensure!(output.status.success(), "pg_restore: {}", String::from_utf8_lossy(&output.stderr));
    psql(platform, "platform", &format!("DROP DATABASE {BASELINE_DATABASE}")).await?;
    Ok(elapsed)
}

async fn restore(platform: &Platform, backup: &str) -> Result<Duration> {
    let project = platform.project_id();
    let name = platform.admin_get(&format!("/admin/v1/projects/{project}")).await?["name"].clone();
    let path = format!("/admin/v1/backups/{backup}/restore");
    let planned = platform.admin_post(&path, &json!({ "projectId": project })).await?;
    let path = format!("/admin/v1/restores/{}", planned["id"].as_str().context("the response has no id")?);
    psql(platform, "platform", "CHECKPOINT").await?;
    let (_, elapsed) = runs::measure(platform, &format!("{path}/confirm"), &json!({ "confirm": name })).await?;
    // Removes the previous database, so that the disk does not fill up.
    platform.admin_delete(&path).await?;
    Ok(elapsed)
}

/// Reads a row at even intervals, like an app that is in use.
struct Probe {
    is_stopped: Arc<AtomicBool>,
    task: tokio::task::JoinHandle<Result<Waits>>,
}

#[derive(Default)]
struct Waits {
    longest: Duration,
    requests: u64,
    refused: u64,
}

impl Probe {
    fn start(platform: &Platform) -> Result<Self> {
        let is_stopped = Arc::new(AtomicBool::new(false));
        let url = format!("http://{}/v1/db/items?eq.id=1", platform.gateway_address());
        let request = client()?.get(url).header("x-api-key", platform.secret_key());
        let stopped = is_stopped.clone();
        let task = tokio::spawn(async move {
            let mut waits = Waits::default();
            while !stopped.load(Ordering::Relaxed) {
                let request = request.try_clone().context("the request can't be sent twice")?;
                let begin = Instant::now();
                let status = request.send().await?.status();
                waits.longest = waits.longest.max(begin.elapsed());
                waits.requests += 1;
                waits.refused += u64::from(!status.is_success());
                tokio::time::sleep(PROBE_INTERVAL).await;
            }
            Ok(waits)
        });
        Ok(Self { is_stopped, task })
    }

    async fn stop(self) -> Result<Waits> {
        self.is_stopped.store(true, Ordering::Relaxed);
        self.task.await?
    }
}
