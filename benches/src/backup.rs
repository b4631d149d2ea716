//! Compares a backup of 1 GB by the plugin with `pg_dump -Fc` piped into a multipart upload.

use std::{
    process::Stdio,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, ensure};
use atlashub::object_store::{ObjectStore, PLATFORM_BUCKET, PartConditions, PartEtag};
use serde_json::json;
use tokio::{
    io::AsyncReadExt as _,
    process::{ChildStdout, Command},
    task::JoinHandle,
};

use crate::{
    platform::{Platform, client},
    runs,
};

/// Number of rows. Each row contains about 108 bytes of data. With row headers and the index, the table takes about 1
/// GB on disk.
const ROWS: u32 = 6_400_000;
const PART_BYTES: usize = 8 << 20;

/// Results of the bench.
pub struct Figures {
    /// Size of the database on disk.
    pub database_bytes: u64,
    pub dump_bytes: u64,
    /// Time of `pg_dump` and upload; the faster of two measurements.
    pub pg_dump: Duration,
    /// Time of the plugin; the faster of two measurements.
    pub plugin: Duration,
    /// Largest growth of the process's memory during a backup, in KiB.
    pub growth_kib: u64,
}

/// Measures `pg_dump` and the plugin twice, in turn, because the speed of a machine varies.
pub async fn measure(platform: &Platform) -> Result<Figures> {
    let database_bytes = create_large_table(platform).await?;
    let mut figures =
        Figures { database_bytes, dump_bytes: 0, pg_dump: Duration::MAX, plugin: Duration::MAX, growth_kib: 0 };
    for _ in 0..2 {
        let (pg_dump, dump_bytes) = dump_and_upload(platform).await?;
        figures.pg_dump = figures.pg_dump.min(pg_dump);
        figures.dump_bytes = dump_bytes;
        let before = platform.reset_peak_memory_kib()?;
        figures.plugin = figures.plugin.min(run_backup_plugin(platform).await?);
        figures.growth_kib = figures.growth_kib.max(platform.peak_memory_kib()?.saturating_sub(before));
    }
    Ok(figures)
}

async fn create_large_table(platform: &Platform) -> Result<u64> {
    let sql = format!(
        "SET ROLE {owner};
         CREATE TABLE large (id bigint PRIMARY KEY, a text NOT NULL, b text NOT NULL, n numeric NOT NULL);
         INSERT INTO large
         SELECT i, md5(i::text), 'a row like many others, number ' || i, i / 7.0
         FROM generate_series(1, {ROWS}) AS i;
         RESET ROLE; CHECKPOINT",
        owner = platform.owner_role(),
    );
    psql_project(platform, &sql).await?;
    Ok(psql_project(platform, "SELECT pg_database_size(current_database())").await?.trim().parse()?)
}

async fn psql_project(platform: &Platform, sql: &str) -> Result<String> {
    psql(platform, &platform.project_database(), sql).await
}

/// Runs statements with `psql`. Returns what `psql` prints.
pub async fn psql(platform: &Platform, database: &str, sql: &str) -> Result<String> {
    let mut psql = postgres_program(platform, "psql");
    let output = psql.env("PGDATABASE", database).args(["-XAtq", "-v", "ON_ERROR_STOP=1", "-c", sql]).output().await?;
    ensure!(output.status.success(), "psql: {}", String::from_utf8_lossy(&output.stderr));
    Ok(String::from_utf8(output.stdout)?)
}

/// Returns a command that runs one of Postgres's programs on the project's database.
pub fn postgres_program(platform: &Platform, name: &str) -> Command {
    let mut command = Command::new(name);
    command
        .env("PGHOST", "127.0.0.1")
        .env("PGPORT", platform.postgres_port.to_string())
        .env("PGUSER", "atlashub")
        .env("PGPASSWORD", &platform.postgres_password)
        .env("PGDATABASE", platform.project_database());
    command
}

/// Dumps the database and uploads the dump in parts. Reads the next part while the previous one is being sent.
async fn dump_and_upload(platform: &Platform) -> Result<(Duration, u64)> {
    let store = ObjectStore::new(&platform.storage()?);
    store.ensure_bucket(PLATFORM_BUCKET).await?;
    let begin = Instant::now();
    let mut child = postgres_program(platform, "pg_dump").arg("-Fc").stdout(Stdio::piped()).spawn()?;
    let mut output = child.stdout.take().context("pg_dump has no output")?;
    let key = "bench.dump";
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
            let response = http.put(url).body(part).send().await?.error_for_status()?;
            let etag = response.headers().get("etag").context("the response has no ETag")?.to_str()?.to_owned();
            Ok(PartEtag { number, etag })
        }));
    }
    if let Some(sending) = sending {
        parts.push(sending.await??);
    }
    ensure!(child.wait().await?.success(), "pg_dump failed");
    store.complete_multipart(PLATFORM_BUCKET, key, &upload_id, &parts).await?;
    let elapsed = begin.elapsed();
    store.delete(PLATFORM_BUCKET, key).await?;
    Ok((elapsed, size))
}

async fn next_part(output: &mut ChildStdout) -> Result<Vec<u8>> {
    let mut part = Vec::with_capacity(PART_BYTES);
    output.take(PART_BYTES as u64).read_to_end(&mut part).await?;
    Ok(part)
}

async fn run_backup_plugin(platform: &Platform) -> Result<Duration> {
    let target = format!("project:{}", platform.project_id());
    Ok(runs::measure(platform, "/admin/v1/backups", &json!({ "target": target })).await?.1)
}
