//! A backup of 1 GB through the plugin, beside `pg_dump -Fc` piped by hand into an upload in parts.

use std::{
    process::Stdio,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail, ensure};
use atlashub::object_store::{ObjectStore, PLATFORM_BUCKET, PartConditions, PartEtag};
use serde_json::json;
use tokio::{
    io::AsyncReadExt as _,
    process::{ChildStdout, Command},
    task::JoinHandle,
};

use crate::platform::{Platform, client};

/// Rows of about 108 bytes each, on disk with their header and index about 1 GB.
const ROWS: u32 = 6_400_000;
const PART: usize = 8 << 20;
const PATIENCE: Duration = Duration::from_secs(1800);

/// What came out.
pub struct Figures {
    /// Of the database, on disk.
    pub database_bytes: u64,
    pub dump_bytes: u64,
    /// The faster of two.
    pub by_hand: Duration,
    /// The faster of two.
    pub ours: Duration,
    /// Most that the process grew by during a backup, in KiB.
    pub growth_kib: u64,
}

/// Turn and turn about, since machines change their pace.
pub async fn measure(platform: &Platform) -> Result<Figures> {
    let database_bytes = fill(platform).await?;
    let mut figures =
        Figures { database_bytes, dump_bytes: 0, by_hand: Duration::MAX, ours: Duration::MAX, growth_kib: 0 };
    for _ in 0..2 {
        let (by_hand, dump_bytes) = by_hand(platform).await?;
        figures.by_hand = figures.by_hand.min(by_hand);
        figures.dump_bytes = dump_bytes;
        let before = platform.reset_peak_memory_kib()?;
        figures.ours = figures.ours.min(through_the_plugin(platform).await?);
        figures.growth_kib = figures.growth_kib.max(platform.peak_memory_kib()?.saturating_sub(before));
    }
    Ok(figures)
}

async fn fill(platform: &Platform) -> Result<u64> {
    let sql = format!(
        "SET ROLE {owner}; CREATE TABLE large (id bigint PRIMARY KEY, a text NOT NULL, b text NOT NULL, n numeric NOT NULL);
         INSERT INTO large SELECT i, md5(i::text), 'a row like many others, number ' || i, i / 7.0 FROM generate_series(1, {ROWS}) AS i;
         RESET ROLE; CHECKPOINT",
        owner = platform.owner_role(),
    );
    psql(platform, &sql).await?;
    Ok(psql(platform, "SELECT pg_database_size(current_database())").await?.trim().parse()?)
}

async fn psql(platform: &Platform, sql: &str) -> Result<String> {
    psql_on(platform, &platform.project_database(), sql).await
}

/// What `psql` prints of one or more statements.
pub async fn psql_on(platform: &Platform, database: &str, sql: &str) -> Result<String> {
    let mut psql = postgres_program(platform, "psql");
    let output = psql.env("PGDATABASE", database).args(["-XAtq", "-v", "ON_ERROR_STOP=1", "-c", sql]).output().await?;
    ensure!(output.status.success(), "psql: {}", String::from_utf8_lossy(&output.stderr));
    Ok(String::from_utf8(output.stdout)?)
}

/// One of Postgres's programs, told where the project's database is.
fn postgres_program(platform: &Platform, name: &str) -> Command {
    let mut command = Command::new(name);
    command
        .env("PGHOST", "127.0.0.1")
        .env("PGPORT", platform.postgres_port.to_string())
        .env("PGUSER", "atlashub")
        .env("PGPASSWORD", &platform.postgres_password)
        .env("PGDATABASE", platform.project_database());
    command
}

/// As a careful person would write it: the next part is read while one is on its way.
async fn by_hand(platform: &Platform) -> Result<(Duration, u64)> {
    let store = ObjectStore::new(&platform.storage()?);
    store.ensure_bucket(PLATFORM_BUCKET).await?;
    let begin = Instant::now();
    let mut child = postgres_program(platform, "pg_dump").arg("-Fc").stdout(Stdio::piped()).spawn()?;
    let mut output = child.stdout.take().context("the output")?;
    let key = "by-hand.dump";
    let upload_id = store.create_multipart(PLATFORM_BUCKET, key, "application/octet-stream").await?;
    let http = client()?;
    let (mut parts, mut size) = (Vec::new(), 0);
    let mut sending: Option<JoinHandle<Result<PartEtag>>> = None;
    for number in 1.. {
        let part = next_part(&mut output).await?;
        if part.is_empty() {
            break;
        }
        size += part.len() as u64;
        if let Some(sending) = sending.take() {
            parts.push(sending.await??);
        }
        let conditions = PartConditions { upload_id: &upload_id, part_number: number, size: part.len() as i64 };
        let url = store.presign_part(PLATFORM_BUCKET, key, conditions, Duration::from_secs(600)).await?.url;
        let http = http.clone();
        sending = Some(tokio::spawn(async move {
            let answer = http.put(url).body(part).send().await?.error_for_status()?;
            let etag = answer.headers().get("etag").context("an etag")?.to_str()?.to_owned();
            Ok(PartEtag { number, etag })
        }));
    }
    if let Some(sending) = sending {
        parts.push(sending.await??);
    }
    ensure!(child.wait().await?.success(), "pg_dump failed");
    store.complete_multipart(PLATFORM_BUCKET, key, &upload_id, &parts).await?;
    let took = begin.elapsed();
    store.delete(PLATFORM_BUCKET, key).await?;
    Ok((took, size))
}

async fn next_part(output: &mut ChildStdout) -> Result<Vec<u8>> {
    let mut part = Vec::with_capacity(PART);
    output.take(PART as u64).read_to_end(&mut part).await?;
    Ok(part)
}

async fn through_the_plugin(platform: &Platform) -> Result<Duration> {
    let begin = Instant::now();
    let target = format!("project:{}", platform.project_id());
    let started = platform.admin_post("/admin/v1/backups", &json!({ "target": target })).await?;
    let run = started["runId"].as_str().context("a run")?.to_owned();
    loop {
        let run = platform.admin_get(&format!("/admin/v1/runs/{run}")).await?;
        match run["status"].as_str() {
            Some("queued" | "running") => {}
            Some("success") => return Ok(begin.elapsed()),
            _ => bail!("the backup failed: {run}"),
        }
        ensure!(begin.elapsed() < PATIENCE, "the backup does not end: {run}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}
